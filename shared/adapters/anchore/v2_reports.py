"""What Enterprise found in an image: v1's answers with another key for the digest.

Read in its API description and its Go client, never run (docs/design/anchore-v2.md 12).
"""

import msgspec

from shared.adapters.anchore.v1_reports import V1_REPORTS

V2_REPORTS = msgspec.structs.replace(V1_REPORTS, base="/v2", digest="image_digest")
