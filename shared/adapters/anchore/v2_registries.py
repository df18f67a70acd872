"""Where the registries are in Enterprise's v2 API (docs/design/anchore-v2.md 7; read, not run)."""

from shared.adapters.anchore.registries import RegistryDialect

V2_REGISTRIES = RegistryDialect(
    path="/v2/registries", policies="/v2/policies", account_key="account_name"
)
