"""Enhanced PET: PS3.3 section A.56."""

from copy import deepcopy
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import generate_uid

from dicom_objects.elements import (
    Choices,
    axial,
    code,
    common,
    frame_of_reference,
    item,
    poisson,
    set_pixels,
    with_elements,
)
from dicom_objects.pet import RADIOPHARMACEUTICAL

ENHANCED_PET = "1.2.840.10008.5.1.4.1.1.130"


def enhanced_pet(choices: Choices) -> list[Dataset]:
    """Return one multi-frame object with functional groups, a slope per frame."""
    n = choices.frames or 4
    ds = common(ENHANCED_PET, "PT", choices)
    set_pixels(ds, poisson(choices, n), multiframe=True)
    with_elements(ds, _ENHANCED_PET)
    del ds.AcquisitionDate, ds.AcquisitionTime
    ds.RadiopharmaceuticalInformationSequence = [deepcopy(RADIOPHARMACEUTICAL)]
    with_elements(ds, frame_of_reference(choices))
    agent = ds.RadiopharmaceuticalInformationSequence[0]
    del agent.Radiopharmaceutical, agent.RadiopharmaceuticalStartTime
    agent.RadiopharmaceuticalAgentNumber, agent.RadiopharmaceuticalStopDateTime = 1, ""
    agent.RadiopharmaceuticalVolume, agent.RadiopharmaceuticalSpecificActivity = "", ""
    agent.AdministrationRouteCodeSequence = [code("47625008", "SCT", "Intravenous route")]
    ds.DimensionOrganizationSequence = [item(DimensionOrganizationUID=generate_uid(entropy_srcs=["dimension"]))]
    pointer = item(DimensionOrganizationUID=ds.DimensionOrganizationSequence[0].DimensionOrganizationUID)
    pointer.DimensionIndexPointer, pointer.FunctionalGroupPointer = (
        Tag("InStackPositionNumber"),
        Tag("FrameContentSequence"),
    )
    ds.DimensionIndexSequence = [pointer]
    measures = item(PixelSpacing=list(choices.spacing_mm), SliceThickness=5.0, SpacingBetweenSlices=5.0)
    frame_type = item(FrameType=["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], PixelPresentation="MONOCHROME")
    frame_type.VolumetricProperties, frame_type.VolumeBasedCalculationTechnique = "VOLUME", "NONE"
    anatomy = item(AnatomicRegionSequence=[code("51185008", "SCT", "Chest")], FrameLaterality="U")
    ds.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[measures],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            PETFrameTypeSequence=[frame_type],
            FrameAnatomySequence=[anatomy],
            RadiopharmaceuticalUsageSequence=[item(RadiopharmaceuticalAgentNumber=1)],
            PETFrameCorrectionFactorsSequence=[item(**_PET_CORRECTIONS)],
            PETFrameAcquisitionSequence=[
                item(TableHeight=800.0, GantryDetectorTilt=0.0, GantryDetectorSlew=0.0, DataCollectionDiameter=700.0)
            ],
            PETDetectorMotionDetailsSequence=[item(RotationDirection="CW", RevolutionTime=1.0)],
            PETPositionSequence=[item(**_PET_POSITION)],
            PETReconstructionSequence=[item(**_PET_RECONSTRUCTION)],
            FrameVOILUTSequence=[item(WindowCenter=5000, WindowWidth=10000)],
        )
    ]
    ds.PerFrameFunctionalGroupsSequence = [_pet_frame(choices, i) for i in range(n)]
    return [ds]


def _pet_frame(choices: Choices, index: int) -> Dataset:
    content = item(
        FrameReferenceDateTime="20240501100500",
        FrameAcquisitionDateTime="20240501100500",
        FrameAcquisitionDuration=120_000.0,
        FrameAcquisitionNumber=1,
        DimensionIndexValues=[index + 1],
        StackID="1",
        TemporalPositionIndex=1,
        InStackPositionNumber=index + 1,
    )
    return item(
        FrameContentSequence=[content],
        PlanePositionSequence=[item(ImagePositionPatient=axial(choices, index)["ImagePositionPatient"])],
        PixelValueTransformationSequence=[item(RescaleIntercept=0, RescaleSlope=40.0 + 3.5 * index, RescaleType="US")],
        RealWorldValueMappingSequence=[_activity_mapping(40.0 + 3.5 * index)],
    )


def _activity_mapping(slope: float) -> Dataset:
    return item(
        RealWorldValueFirstValueMapped=0,
        RealWorldValueLastValueMapped=65535,
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=slope,
        LUTExplanation="activity",
        LUTLabel="BQML",
        MeasurementUnitsCodeSequence=[code("Bq/ml", "UCUM", "Becquerels/milliliter")],
    )


_ENHANCED_PET: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
    "PresentationLUTShape": "IDENTITY",
    "ContentQualification": "RESEARCH",
    "BurnedInAnnotation": "NO",
    "AcquisitionDateTime": "20240501100500",
    "AcquisitionDuration": 120.0,
    "AcquisitionNumber": 1,
    "AcquisitionContextSequence": [],
    "AcquisitionStartCondition": "MANU",
    "AcquisitionTerminationCondition": "TIME",
    "TerminationTimeThreshold": 120.0,
    "CollimatorType": "NONE",
    "TypeOfDetectorMotion": "STATIONARY",
    "DetectorGeometry": "CYLINDRICAL_RING",
    "TransverseDetectorSeparation": 4.0,
    "AxialDetectorDimension": 4.0,
    "CoincidenceWindowWidth": 4.5,
    "EnergyWindowRangeSequence": [item(EnergyWindowLowerLimit=435, EnergyWindowUpperLimit=650)],
    "TableMotion": "STATIC",
    "TimeOfFlightInformationUsed": "FALSE",
    "ViewCodeSequence": [code("62824007", "SCT", "Transverse")],
    "DecayCorrected": "YES",
    "DecayCorrectionDateTime": "20240501100500",
    "AttenuationCorrected": "YES",
    "AttenuationCorrectionSource": "CT",
    "AttenuationCorrectionTemporalRelationship": "SIMULTANEOUS",
    "ScatterCorrected": "YES",
    "ScatterCorrectionMethod": "MODEL",
    "DeadTimeCorrected": "YES",
    "GantryMotionCorrected": "NO",
    "PatientMotionCorrected": "NO",
    "CountLossNormalizationCorrected": "YES",
    "RandomsCorrected": "YES",
    "RandomsCorrectionMethod": "DLYD",
    "NonUniformRadialSamplingCorrected": "NO",
    "SensitivityCalibrated": "YES",
    "DetectorNormalizationCorrection": "YES",
    "CountsSource": "EMISSION",
}

_PET_CORRECTIONS = {
    "PrimaryPromptsCountsAccumulated": 10**6,
    "SliceSensitivityFactor": 1.0,
    "DecayFactor": 1.0,
    "ScatterFractionFactor": 0.3,
    "DeadTimeFactor": 1.0,
}
_PET_POSITION = {
    "TablePosition": 0.0,
    "DataCollectionCenterPatient": [0.0, 0.0, 0.0],
    "ReconstructionTargetCenterPatient": [0.0, 0.0, 0.0],
}
_PET_RECONSTRUCTION = {
    "ReconstructionAlgorithm": "REPROJECTION",
    "ReconstructionType": "3D",
    "IterativeReconstructionMethod": "YES",
    "NumberOfIterations": 3,
    "NumberOfSubsets": 21,
    "ReconstructionDiameter": 256.0,
}
