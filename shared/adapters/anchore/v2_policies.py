"""What Enterprise's v2 API calls a policy (docs/design/anchore-v2.md 4; read, not run)."""

from shared.adapters.anchore.policies import PolicyDialect
from shared.domain.policy_forms import Form

V2_POLICIES = PolicyDialect(
    form=Form.V2,
    path="/v2/policies",
    id_key="policy_id",
    document_key="policy",
    account_key="account_name",
    sent_back=("account_name", "policy_source"),
)
