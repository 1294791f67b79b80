"""Flags of the world: few straight edges, few colours."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from dcls_cli.evaluation.graphics import layouts
from dcls_cli.evaluation.graphics.canvas import BLACK, WHITE, Canvas, Colour

Fill = Callable[[Canvas], None]

RED: Colour = (206, 17, 38)
CRIMSON: Colour = (200, 16, 46)
BLUE: Colour = (0, 85, 164)
GREEN: Colour = (0, 146, 70)
DEEP_GREEN: Colour = (0, 106, 78)
MAROON: Colour = (138, 21, 56)


def _upright(*colours: Colour, weights: Sequence[float] = ()) -> Fill:
    return partial(layouts.bands, colours, upright=True, weights=weights)


def _level(*colours: Colour, weights: Sequence[float] = ()) -> Fill:
    return partial(layouts.bands, colours, weights=weights)


#: By the countries that have them; colours are near the official ones.
FLAGS: Mapping[str, Fill] = {
    "france": _upright(BLUE, WHITE, (239, 65, 53)),
    "italy": _upright(GREEN, WHITE, RED),
    "ireland": _upright((22, 155, 98), WHITE, (255, 136, 62)),
    "belgium": _upright(BLACK, (253, 218, 36), (239, 51, 64)),
    "romania": _upright((0, 43, 127), (252, 209, 22), RED),
    "nigeria": _upright((0, 135, 81), WHITE, (0, 135, 81)),
    "mali": _upright((20, 181, 58), (252, 209, 22), RED),
    "ivory-coast": _upright((247, 127, 0), WHITE, (0, 158, 96)),
    "peru": _upright((217, 16, 35), WHITE, (217, 16, 35)),
    "canada": _upright((255, 0, 0), WHITE, (255, 0, 0), weights=(1, 2, 1)),
    "germany": _level(BLACK, (221, 0, 0), (255, 206, 0)),
    "netherlands": _level((174, 28, 40), WHITE, (33, 70, 139)),
    "russia": _level(WHITE, (0, 57, 166), (213, 43, 30)),
    "austria": _level((200, 16, 46), WHITE, (200, 16, 46)),
    "hungary": _level((206, 41, 57), WHITE, (71, 112, 80)),
    "bulgaria": _level(WHITE, (0, 150, 110), (214, 38, 18)),
    "estonia": _level((0, 114, 206), BLACK, WHITE),
    "lithuania": _level((253, 185, 19), (0, 106, 68), (193, 39, 45)),
    "armenia": _level((217, 0, 18), (0, 51, 160), (242, 168, 0)),
    "gabon": _level((0, 158, 96), (252, 209, 22), (58, 117, 196)),
    "yemen": _level(RED, WHITE, BLACK),
    "ukraine": _level((0, 87, 183), (255, 221, 0)),
    "poland": _level(WHITE, (220, 20, 60)),
    "indonesia": _level((255, 0, 0), WHITE),
    "spain": _level((173, 21, 25), (250, 189, 0), (173, 21, 25), weights=(1, 2, 1)),
    "latvia": _level((164, 52, 58), WHITE, (164, 52, 58), weights=(2, 1, 2)),
    "thailand": _level((165, 25, 49), WHITE, (45, 42, 74), WHITE, (165, 25, 49),
                       weights=(1, 1, 2, 1, 1)),
    "colombia": _level((252, 209, 22), (0, 56, 147), RED, weights=(2, 1, 1)),
    "mauritius": _level((234, 40, 57), (26, 32, 109), (255, 213, 0), (0, 165, 81)),
    "gambia": _level(RED, WHITE, (12, 28, 140), WHITE, (58, 119, 40), weights=(6, 1, 4, 1, 6)),
    "botswana": _level((117, 170, 219), WHITE, BLACK, WHITE, (117, 170, 219),
                       weights=(9, 1, 4, 1, 9)),
    "sweden": partial(layouts.nordic, (0, 106, 167), (254, 204, 2), None),
    "denmark": partial(layouts.nordic, CRIMSON, WHITE, None),
    "finland": partial(layouts.nordic, WHITE, (0, 47, 108), None),
    "norway": partial(layouts.nordic, (186, 12, 47), WHITE, (0, 32, 91)),
    "iceland": partial(layouts.nordic, (2, 82, 156), WHITE, (220, 30, 53)),
    "england": partial(layouts.centred_cross, WHITE, RED),
    "scotland": partial(layouts.saltire, (0, 94, 184), WHITE),
    "britain": layouts.union,
    "jamaica": layouts.jamaica,
    "switzerland": layouts.swiss,
    "japan": partial(layouts.disc, WHITE, (188, 0, 45), 0.3),
    "bangladesh": partial(layouts.disc, DEEP_GREEN, (244, 42, 65), 1 / 3, x=0.45),
    "palau": partial(layouts.disc, (74, 173, 214), (255, 222, 0), 0.3, x=0.45),
    "equal-disc": partial(layouts.disc, (0, 150, 60), (190, 20, 0), 0.3),
    "turkey": partial(layouts.crescent, (227, 10, 23), WHITE),
    "vietnam": partial(layouts.star, (218, 37, 29), (255, 255, 0)),
    "somalia": partial(layouts.star, (65, 137, 221), WHITE),
    "china": layouts.china,
    "ghana": partial(layouts.emblem, (RED, (252, 209, 22), DEEP_GREEN), BLACK),
    "czechia": partial(layouts.hoist, (WHITE, (215, 20, 26)), (17, 69, 126), reach=0.5),
    "sudan": partial(layouts.hoist, ((210, 16, 52), WHITE, BLACK), (0, 114, 41), reach=1 / 3),
    "bahamas": partial(layouts.hoist, ((0, 119, 139), (255, 199, 44), (0, 119, 139)), BLACK),
    "united-states": partial(layouts.canton, ((178, 34, 52), WHITE), (60, 59, 110), WHITE),
    "liberia": partial(layouts.canton, ((191, 10, 48), WHITE), (0, 40, 104), None, count=11),
    "greece": layouts.greece,
    "congo": partial(layouts.diagonal, (0, 149, 67), (220, 36, 31), (251, 222, 74)),
    "qatar": partial(layouts.serrated, 9, WHITE, MAROON),
    "bahrain": partial(layouts.serrated, 5, WHITE, RED),
    "panama": layouts.quarters,
    "brazil": layouts.brazil,
    "benin": partial(layouts.mast, (0, 135, 81), ((252, 209, 22), (232, 17, 45))),
    "madagascar": partial(layouts.mast, WHITE, ((252, 61, 50), (0, 126, 58))),
    "emirates": partial(layouts.mast, (255, 0, 0), ((0, 115, 47), WHITE, BLACK)),
}  # fmt: skip
