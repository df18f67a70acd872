"""What holds for every test."""

from hypothesis import settings

# A deadline for each example would be an assertion about speed, on machines that others share.
settings.register_profile("imagegate", deadline=None)
settings.load_profile("imagegate")
