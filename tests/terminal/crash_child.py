"""A terminal in a process of its own that dies, as by a power cut, at a named step of one tap.

``python -m tests.terminal.crash_child HOME CA_FOLDER STEP NONCE``: answers are printed as they are
given; at STEP the process kills itself with SIGKILL. STEP ``never`` ends cleanly.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from readers.virtual.authority import TestCa
from tests.terminal.rig import Rig


def main() -> None:
    home, folder, step, nonce = sys.argv[1:5]

    def probe(reached: str) -> None:
        if reached == step:
            os.kill(os.getpid(), signal.SIGKILL)

    rig = Rig(Path(home), TestCa.in_folder(Path(folder)))
    card = rig.member(1)
    rig.lay(card)
    rig.probe = probe
    answer = rig.service.tap("counter", "film", nonce)
    sys.stdout.write(f"{answer.outcome} {answer.code} {answer.entry}\n")
    sys.stdout.flush()
    rig.close()


if __name__ == "__main__":
    main()
