"""What Engine's v1 API calls a policy (docs/design/anchore-engine.md 7)."""

from shared.adapters.anchore.policies import PolicyDialect
from shared.domain.policy_forms import Form

V1_POLICIES = PolicyDialect(
    form=Form.V1,
    path="/v1/policies",
    id_key="policyId",
    document_key="policybundle",
    account_key="userId",
)
