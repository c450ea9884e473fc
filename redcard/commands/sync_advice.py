"""What an operator must do about sync, in one line for each way in which it may stand."""

from __future__ import annotations

from typing import Final

#: By state of the last exchange: Chinese and English. ``FILE`` stands for a file on a stick.
_ADVICE: Final = {
    "never": (
        "还没有同步过：redcard sync push；无网络时：redcard sync export 文件",
        "it has never synced: redcard sync push, or without a network: redcard sync export FILE",
    ),
    "offline": (
        "连不上服务器，账本完好，网络恢复后自动补传；急需时：redcard sync export 文件，用 U 盘带走",
        (
            "no connection; the ledger is whole and is sent by itself when there is one. In a "
            "hurry: redcard sync export FILE, and carry it on a stick"
        ),
    ),
    "overloaded": (
        "服务器繁忙，稍后自动重试，无需处理",
        "the server is busy; it is tried again by itself, nothing to do",
    ),
    "need_from": (
        "服务器要求从较早处重传（服务器恢复过备份）：redcard sync push",
        "the server asks for earlier entries again, as after a backup: redcard sync push",
    ),
    "quarantined": (
        "停止核销，致电联合会：本账本出现两份不同的历史（磁盘被复制或回退）。不要删除任何文件",
        (
            "stop redeeming and call the federation: two histories of this ledger exist, from a "
            "cloned or restored disk. Delete nothing"
        ),
    ),
    "inconsistent": (
        "停止核销，运行 redcard ledger verify，致电联合会。不要删除任何文件",
        "stop redeeming, run redcard ledger verify, call the federation. Delete nothing",
    ),
    "revoked": (
        "本终端已被停用：账本仍可上传，不能再核销。致电联合会，重新启用需新的启用码",
        (
            "this terminal was revoked: its ledger may still be sent, it redeems no more. Call the "
            "federation for a new activation code"
        ),
    ),
    "refused": (
        "服务器拒绝了请求，账本保留。核对服务器地址后重试：redcard sync push；仍被拒绝请致电联合会",
        (
            "the server refused; the ledger is kept. Check the server's address, then redcard sync "
            "push; if it is refused again, call the federation"
        ),
    ),
    "unverified": (
        "收到的数据验签不通过，未采用。检查网络中间设备，再试：redcard sync push",
        (
            "what came back does not verify and was not used. Look for what stands between, then "
            "redcard sync push"
        ),
    ),
}
_PENDING: Final = (
    "有未上传的记录：redcard sync push；无网络时：redcard sync export 文件",
    "entries wait: redcard sync push, or without a network: redcard sync export FILE",
)
_NOTHING: Final = ("一切正常，无需处理", "all is well, nothing to do")


def advice(state: str, pending: int) -> tuple[str, str]:
    """What to do, in Chinese and in English.

    Args:
        state: how the last exchange ended, as ``sync status`` says it.
        pending: entries without a receipt.
    """
    if state == "ok":
        return _PENDING if pending else _NOTHING
    return _ADVICE.get(state, _ADVICE["refused"])
