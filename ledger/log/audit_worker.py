"""Another process of an audit, started as a file by `audit_crew`.

It takes chunks until there are none and sends what it finds. It loads next to nothing when only
the tree is checked: a ledger of some years is done before an ordinary start-up would be over.
"""

from __future__ import annotations

import os
import sys

#: Bytes of a ticket, which is the number of a chunk, and of the length before an answer.
NUMBER_BYTES = 4


def main(arguments: list[str], sizes: str) -> None:
    """Works through its share.

    Args:
        arguments: file descriptors of tickets and of answers, the database's path and URI, entries
            to check, ``tree`` or ``full``, and folders to import from.
        sizes: sizes of signed heads, with spaces between.
    """
    tickets, answers, path, uri, size, what, *folders = arguments
    sys.path[:0] = [folder for folder in folders if folder not in sys.path]
    from ledger.log.leaves import check_tree, chunk_range, connect, pack

    heads, entries, connection = tuple(map(int, sizes.split())), int(size), connect(uri)
    if what == "full":
        from ledger.log.audit_chunk import Job, check_chunk, pack_chunk

        job = Job(path, entries, heads, tree=False)
    try:
        while ticket := os.read(int(tickets), NUMBER_BYTES):
            number = int.from_bytes(ticket, "big")
            if what == "full":
                answer = pack_chunk(number, check_chunk(connection, job, number))
            else:
                start, stop = chunk_range(number, entries)
                answer = pack(number, check_tree(connection, start, stop, heads))
            _send(int(answers), len(answer).to_bytes(NUMBER_BYTES, "big") + answer)
    finally:
        connection.close()


def _send(answers: int, data: bytes) -> None:
    while data:
        data = data[os.write(answers, data) :]


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdin.read())
