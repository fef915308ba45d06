"""The anchors that the families were published with, in pixels, for models that do not carry their own.

From YOLOv5's models/yolov5s.yaml and hub/yolov5s6.yaml, and darknet's yolov3, yolov3-tiny, yolov4 and yolov4-tiny.cfg
with their masks applied (the stride 16 map of yolov4-tiny uses anchors 1 to 3, not 0 to 2).
"""

from collections.abc import Mapping

from attrs import field, frozen

Pair = tuple[float, float]
Level = tuple[Pair, ...]


@frozen
class Family:
    """What one network was published with.

    Attributes:
        anchors: stride -> width and height in pixels of each anchor.
        scale_xy: stride -> darknet's scale_x_y, where it is not 1.
    """

    name: str
    anchors: Mapping[int, Level]
    scale_xy: Mapping[int, float] = field(factory=dict)


_NINE: Mapping[int, Level] = {
    8: ((10, 13), (16, 30), (33, 23)),
    16: ((30, 61), (62, 45), (59, 119)),
    32: ((116, 90), (156, 198), (373, 326)),
}
YOLOV3 = Family("YOLOv3", _NINE)
YOLOV5 = Family("YOLOv5", _NINE)
YOLOV5_P6 = Family(
    "YOLOv5-P6",
    {
        8: ((19, 27), (44, 40), (38, 94)),
        16: ((96, 68), (86, 152), (180, 137)),
        32: ((140, 301), (303, 264), (238, 542)),
        64: ((436, 615), (739, 380), (925, 792)),
    },
)
YOLOV4 = Family(
    "YOLOv4",
    {
        8: ((12, 16), (19, 36), (40, 28)),
        16: ((36, 75), (76, 55), (72, 146)),
        32: ((142, 110), (192, 243), (459, 401)),
    },
    {8: 1.2, 16: 1.1, 32: 1.05},
)
YOLOV7 = Family("YOLOv7", YOLOV4.anchors)
YOLOV3_TINY = Family(
    "YOLOv3-tiny",
    {16: ((10, 14), (23, 27), (37, 58)), 32: ((81, 82), (135, 169), (344, 319))},
)
YOLOV4_TINY = Family(
    "YOLOv4-tiny",
    {16: ((23, 27), (37, 58), (81, 82)), 32: ((81, 82), (135, 169), (344, 319))},
    {16: 1.05, 32: 1.05},
)
