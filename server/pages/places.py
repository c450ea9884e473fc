"""The sixteen districts and counties of the city as equal tiles, roughly where they lie."""

from __future__ import annotations

from typing import Final

from server.pages.words import N_

#: Administrative code (GB/T 2260) to name, Chinese and English.
DISTRICTS: Final[dict[str, tuple[str, str]]] = {
    "110101": ("东城区", N_("Dongcheng")),
    "110102": ("西城区", N_("Xicheng")),
    "110105": ("朝阳区", N_("Chaoyang")),
    "110106": ("丰台区", N_("Fengtai")),
    "110107": ("石景山区", N_("Shijingshan")),
    "110108": ("海淀区", N_("Haidian")),
    "110109": ("门头沟区", N_("Mentougou")),
    "110111": ("房山区", N_("Fangshan")),
    "110112": ("通州区", N_("Tongzhou")),
    "110113": ("顺义区", N_("Shunyi")),
    "110114": ("昌平区", N_("Changping")),
    "110115": ("大兴区", N_("Daxing")),
    "110116": ("怀柔区", N_("Huairou")),
    "110117": ("平谷区", N_("Pinggu")),
    "110228": ("密云县", N_("Miyun")),
    "110229": ("延庆县", N_("Yanqing")),
}

#: Row by row from the north; every one has the same size, whatever its area.
MAP: Final = (
    ("110229", "110116", "110228", "110117"),
    ("110114", "110108", "110105", "110113"),
    ("110109", "110107", "110102", "110101"),
    ("110111", "110106", "110115", "110112"),
)

_BY_NAME: Final = {zh: code for code, (zh, _) in DISTRICTS.items()}


def code_of(district: str) -> str:
    """The code of a district that a registry names by its code or in Chinese."""
    return _BY_NAME.get(district, district)


def name_of(district: str, language: str) -> str:
    """What a page calls a district; one that is not on the map is called as it is named."""
    found = DISTRICTS.get(code_of(district))
    return district if found is None else found[0 if language == "zh" else 1]
