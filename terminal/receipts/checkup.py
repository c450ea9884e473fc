"""What ``redcard doctor`` says of the receipt printer."""

from __future__ import annotations

import os

from terminal.findings import Finding, bad, good
from terminal.home import Home


def examine_printer(home: Home) -> list[Finding]:
    """Whether a printer on a device file is there; a network one is known by its first slip."""
    config = home.config.printer
    if config is None:
        return []
    path = config.port.removeprefix("serial:")
    if path.startswith("/dev/") and not os.access(path, os.W_OK):
        return [
            bad(
                "printer",
                "打印机不可用，发放不受影响",
                f"{path} is missing, or not yours to write; giving out goes on",
                f"plug the printer in, and see who may write it: ls -l {path}",
            )
        ]
    return [good("printer", f"打印机 {config.port}", f"printer {config.port}")]
