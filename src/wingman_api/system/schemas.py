"""What the API says of itself, as HTTP carries it."""

from typing import Literal

from pydantic import Field

from wingman_api.previews import View
from wingman_api.system.health import Status


class Endpoint(View):
    """One operation."""

    method: str
    path: str
    operation: str = Field(description="The stable operation id.")
    summary: str


class Welcome(View):
    """Who answers, and what it can be asked."""

    name: str
    version: str
    environment: Literal["test", "prd"]
    endpoints: tuple[Endpoint, ...]


class Components(View):
    """What each part says."""

    database: Status
    gateway: Status
    engine: Status
    feed: Status


class HealthAnswer(View):
    """Healthy with 200; else 503."""

    status: Status
    components: Components


class Probe(View):
    """An answer for supervisors."""

    status: Literal["ok", "unavailable"]
