"""The nouns: frozen records that every stage takes and returns. Arrays are never fields; paths and hashes are."""

from polyyolo.records.benchmark import Benchmark, Latency
from polyyolo.records.engine import (
    BEFORE_8_6,
    PLAN_MAGIC,
    BuildPlan,
    Command,
    Engine,
    Layer,
    Precision,
    Profile,
    Route,
    Sensitivity,
    ShapeRange,
    Toolchain,
    ToolchainKind,
)
from polyyolo.records.layers import EngineLayer
from polyyolo.records.measured import Absent, Measured
from polyyolo.records.model import ANCHORED, NUMBERED, RAW, Head, HeadKind, ModelSpec, TensorSpec, cells_at
from polyyolo.records.pictures import CalibrationSet, CalibrationTable, Preprocessing, Skipped
from polyyolo.records.proof import SAME_BOX, SAME_OBJECT, Accuracy, Agreement, Check, Fidelity, Outcome, Shown, Verdict
from polyyolo.records.run import USUAL, Limits, Request, Run
from polyyolo.records.verification import Verification

__all__ = [
    "ANCHORED",
    "BEFORE_8_6",
    "NUMBERED",
    "PLAN_MAGIC",
    "RAW",
    "SAME_BOX",
    "SAME_OBJECT",
    "USUAL",
    "Absent",
    "Accuracy",
    "Agreement",
    "Benchmark",
    "BuildPlan",
    "CalibrationSet",
    "CalibrationTable",
    "Check",
    "Command",
    "Engine",
    "EngineLayer",
    "Fidelity",
    "Head",
    "HeadKind",
    "Latency",
    "Layer",
    "Limits",
    "Measured",
    "ModelSpec",
    "Outcome",
    "Precision",
    "Preprocessing",
    "Profile",
    "Request",
    "Route",
    "Run",
    "Sensitivity",
    "ShapeRange",
    "Shown",
    "Skipped",
    "TensorSpec",
    "Toolchain",
    "ToolchainKind",
    "Verdict",
    "Verification",
    "cells_at",
]
