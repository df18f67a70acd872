"""Where the registries are in Engine's v1 API (docs/design/anchore-engine.md 3)."""

from shared.adapters.anchore.registries import RegistryDialect

V1_REGISTRIES = RegistryDialect(
    path="/v1/registries", policies="/v1/policies", account_key="userId"
)
