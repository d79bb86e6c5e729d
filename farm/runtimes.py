"""The TFLite runtimes that the farm knows, and which of them a job's file is made for."""

from __future__ import annotations

from enum import StrEnum


class Runtime(StrEnum):
    """The runtimes that were tried, oldest first."""

    TFLITE_2_14 = "TFLite 2.14"
    TFLITE_2_16 = "TFLite 2.16"
    TFLITE_2_17 = "TFLite 2.17"
    TFLITE_2_19 = "TFLite 2.19"
    TFLITE_2_20 = "TFLite 2.20"
    TFLITE_2_21 = "TFLite 2.21"
    AI_EDGE_LITERT_2_3 = "ai-edge-litert 2.3"
    LITERT_LM_0_18 = "LiteRT-LM 0.18"


# What the app carries, without Flex and with the newest published Flex AAR.
APP_RUNTIME = Runtime.TFLITE_2_21
FLEX_APP_RUNTIME = Runtime.TFLITE_2_14
