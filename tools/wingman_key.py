"""What detect-secrets lacks: the form of Wingman's own API keys (``.secrets.baseline`` names this file)."""

import re
from typing import ClassVar

from detect_secrets.plugins.base import RegexBasedDetector


class WingmanKeyDetector(RegexBasedDetector):
    """Finds keys such as ``wm_<id>_<secret>``."""

    secret_type = "Wingman API Key"  # noqa: S105 - what it is called
    denylist: ClassVar = [re.compile(r"(?<![A-Za-z0-9_])wm_[A-Za-z0-9]{6,64}_[A-Za-z0-9_-]{32,255}")]
