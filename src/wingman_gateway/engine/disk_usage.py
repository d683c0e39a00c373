"""Which kind of object takes how much space, as ``docker system df`` counts (docker/cli v28 ``disk_usage.go``)."""

from collections.abc import Iterator
from typing import Final

from wingman_gateway.engine.connection import JSON
from wingman_gateway.engine.tables import human_size

DF_COLUMNS: Final = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
ACTIVE: Final = frozenset({"running", "paused", "restarting"})


def usage_rows(usage: JSON) -> Iterator[dict[str, str]]:
    """Yield a row per kind of object of ``GET /system/df``."""
    images = usage.get("Images") or ()
    layers = int(usage.get("LayersSize") or 0)
    used = sum(_own(each) for each in images if each["Containers"] != 0)
    yield _row("Images", len(images), sum(each["Containers"] > 0 for each in images), layers, layers - used)
    containers = usage.get("Containers") or ()
    sizes = [(each.get("SizeRw") or 0, each["State"] in ACTIVE) for each in containers]
    idle = sum(size for size, active in sizes if not active)
    yield _row("Containers", len(sizes), sum(active for _, active in sizes), sum(size for size, _ in sizes), idle)
    volumes = [each["UsageData"] for each in usage.get("Volumes") or () if each.get("UsageData")]
    known = [(max(each["Size"], 0), each["RefCount"] > 0) for each in volumes]
    loose = sum(size for size, active in known if not active)
    yield _row("Local Volumes", len(known), sum(active for _, active in known), sum(size for size, _ in known), loose)
    cache = usage.get("BuildCache") or ()
    own = [(each["Size"], each["InUse"]) for each in cache if not each["Shared"]]
    total, busy = sum(size for size, _ in own), sum(size for size, active in own if active)
    row = _row("Build Cache", len(cache), sum(bool(each["InUse"]) for each in cache), total, total - busy)
    yield {**row, "Reclaimable": human_size(total - busy, precision=4)}


def _own(image: JSON) -> int:
    """Return what of an image no other one shares; 0 where the engine has not worked that out."""
    size, shared = int(image["Size"]), int(image["SharedSize"])
    return 0 if -1 in {size, shared} else size - shared


def _row(kind: str, number: int, active: int, size: int, reclaimable: int) -> dict[str, str]:
    share = f" ({reclaimable * 100 // size}%)" if size > 0 else ""
    return {
        "Active": str(active),
        "Reclaimable": f"{human_size(reclaimable, precision=4)}{share}",
        "Size": human_size(size, precision=4),
        "TotalCount": str(number),
        "Type": kind,
    }
