"""Which options each release of trtexec takes; read from sampleOptions.cpp in NVIDIA/TensorRT, one branch a release."""

BASE = """
--allowGPUFallback --avgRuns --avgTiming --batch --best --buildOnly --calib --consistency --deploy --device --directIO
--dumpLayerInfo --dumpOutput --dumpProfile --dumpRefit --duration --explicitBatch --explicitPrecision --exportLayerInfo
--exportOutput --exportProfile --exportTimes --exposeDMA --fp16 --help --heuristic --idleTime --inputIOFormats --int8
--iterations --layerOutputTypes --layerPrecisions --loadEngine --loadInputs --maxBatch --maxShapes --maxShapesCalib
--memPoolSize --minShapes --minShapesCalib --minTiming --model --noBuilderCache --noDataTransfers --noTF32 --nvtxMode
--onnx --optShapes --optShapesCalib --output --outputIOFormats --percentile --persistentCacheRatio --plugins
--precisionConstraints --preview --profilingVerbosity --refit --restricted --safe --saveEngine --separateProfileRun
--shapes --sleepTime --sparsity --streams --tacticSources --threads --timeDeserialize --timeRefit --timingCacheFile
--uff --uffInput --uffNHWC --useCudaGraph --useDLACore --useManagedMemory --useSpinWait --verbose --warmUp --workspace
"""
"""Of 8.5."""

ADDED = {
    (8, 6): """
--buildDLAStandalone --builderOptimizationLevel --dumpRawBindingsToFile --dynamicPlugins --excludeLeanRuntime --fp8
--hardwareCompatibilityLevel --ignoreParsedPluginLibs --infStreams --layerDeviceTypes --leanDLLPath --maxAuxStreams
--nativeInstanceNorm --ni --setPluginsToSerialize --skipInference --staticPlugins --tempdir --tempfileControls
--useRuntime --vc --versionCompatible
""",
    (9, 0): """
--bf16 --calibProfile --dumpOptimizationProfile --errorOnTimingCacheMiss --getPlanVersionOnly --noCompilationCache
--profile --stronglyTyped --useProfile
""",
    (9, 2): "--weightless",
    (10, 0): """
--allocationStrategy --allowWeightStreaming --markDebug --pi --pluginInstanceNorm --saveDebugTensors --stripWeights
--weightStreamingBudget
""",
    (10, 1): "--int4 --stripAllWeights",
    (10, 2): "--runtimePlatform",
    (10, 4): "--maxTactics",
    (10, 6): "--monitorMemory",
    (10, 7): "--asyncFileReader",
    (10, 8): "--l2LimitForTiling --tilingOptimizationLevel",
    (10, 11): "--uint8AsymmetricQuantizationDLA",
    (10, 12): "--distributiveIndependence --markUnfusedTensorsAsDebugTensors --saveAllDebugTensors",
    (10, 13): "--consistency --dumpKernelText --remoteAutoTuningConfig --safetyPlugins",
    (10, 14): "--decomposableAttentions --refitFromOnnx",
    (10, 15): "--cpuOnly --enablePluginOverride",
    (10, 16): "--adjustForDLA --reportCapabilityDLA",
    (11, 0): "--includeDataTransfers --noCudaGraph --noSpinWait",
    (11, 1): """
--accuracyAlgorithm --accuracyThreshold --atol --continue --dryRun --helpBuildRoute --loadRefOutputs --refPair --rtol
--saveAllEngines --setBuildRoute --tuneBuildRouteFile --tuneBuildRoutes --tuningCacheFile --tuningResultFile
--tuningSearch --tuningTimeOut
""",
}

REMOVED = {
    (9, 0): "--batch --deploy --maxBatch --model --output --uff --uffInput --uffNHWC",
    (10, 0): """
--buildOnly --explicitBatch --explicitPrecision --heuristic --minTiming --nativeInstanceNorm --ni --nvtxMode --workspace
""",
    (10, 4): "--consistency",
    (11, 0): """
--best --bf16 --calib --calibProfile --fp16 --fp8 --int4 --int8 --layerOutputTypes --layerPrecisions --maxShapesCalib
--minShapesCalib --optShapesCalib --precisionConstraints --restricted --weightless
""",
}

SILENT = {
    "--noDataTransfers": "Data transfers are now disabled by default. Use --includeDataTransfers to re-enable.",
    "--useSpinWait": "Spin wait is now enabled by default. Use --noSpinWait to disable spin wait.",
    "--useCudaGraph": "CUDA graph is now enabled by default. Use --noCudaGraph to disable CUDA graph.",
    "--separateProfileRun": "Separate profile run is now always enabled.",
    "--stronglyTyped": "All networks are strongly typed.",
}
"""Taken by 11, with a warning and no effect."""

RTX_ADDED = "--computeCapabilities --runtimeCacheFile --rtxCudaGraphStrategy --specializeStrategyDS --useGpu"
"""What NVIDIA's pages on tensorrt_rtx name besides the options of trtexec 11; its source is not public."""
RTX_REMOVED = "--noCudaGraph --useCudaGraph --allowGPUFallback --useDLACore"


def options(release: tuple[int, int], *, rtx: bool) -> set[str]:
    """Name every option that a release takes; ``release`` is not looked at for TensorRT for RTX."""
    if rtx:
        return (options((11, 0), rtx=False) | set(RTX_ADDED.split())) - set(RTX_REMOVED.split())
    taken = set(BASE.split())
    for step in sorted({*ADDED, *REMOVED}):
        if step <= release:
            taken -= set(REMOVED.get(step, "").split())
            taken |= set(ADDED.get(step, "").split())
    return taken
