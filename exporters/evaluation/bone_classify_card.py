"""The card of ``bone-classify``."""

from ...engine.bundle import Bundle
from .bone_classify_report import (
    confusion_table,
    evidence_table,
    main_table,
    real_table,
    strata_table,
    thinned_table,
    threshold_table,
)
from .bone_classify_study import BoneReport

__all__ = ["render_bones"]

_CARD = """# {name}

{title}. Version {version}, {licence}. Input: an anterior or posterior view of a bone
scan (99mTc diphosphonate), whole body or thorax, in counts. Output: probabilities of normal ribs, trauma and metastasis, a class activation map of each, and an embedding that tells other
images apart. **Trained and measured on simulated patients alone; it has seen no real fracture and no real metastasis.** Not for diagnosis.

## Network

The engine finds the ribs by the outline of the body and the skeleton's profile, and cuts out {side} x {side} pixels of {pitch:g} mm, which is
what the network sees of any matrix. A U-shaped network of 3x3 convolutions with about {weights:.0f} thousand weights; counts are brought to the mean of the body, and
hot spots to their surroundings and to their noise, inside the graph. The last block lies at half the matrix, its features are not
negative, and the head is their mean and one linear layer: the map is the class activation map, which is the exact Grad-CAM.

## Training

* {data}.
* Each of {patients} patients is there three times, as seen by one camera: with normal ribs, with fractures, with metastases. All else is
  the same, so that nothing else can tell them apart.
* **Trauma**: round foci of 5 to 13 mm along the rib, four times in five on two to six neighbouring ribs and in line, a fifth on one; uptake
  alike within an accident, from healing to fresh (Matin 1979). **Metastasis**: on one to eight random ribs, mostly 20 to 100 mm along the
  rib, irregular, each with uptake of its own; 15 % are as short as fractures (Kara et al. 2003: linear lesions were metastases in 7 of 9,
  focal ones benign in 46 of 56; Baxter et al. 1995: of single spots 41 % were malignant, 35 % benign). Shares and sizes are ours.
* **In all of them**: hot rib ends and insertions of muscles, uneven ribs, worn and metastatic vertebrae, sternum, shoulders, kidneys,
  breasts, injection site, thin to obese, arms raised or not, scatter, attenuation, low-energy collimators at 5 to 80 mm, 128 to 512
  columns, whole bodies and views of the thorax, 60 to 2400 counts per cm².
* A lesion is at least five standard deviations of the counts about it (Rose), and 30 % above them: fainter ones are not in the data.
* Besides the labels, the evidence was asked to lie within half the system's resolution of the lesions, and a second head, which the bundle does
  without, to outline them. {steps} steps, AdamW, {minutes:.0f} min of wall time on one thread, {date}.{note}

## Held-out patients

{views} views of patients that were in no training, through the whole engine; the rivals work on features of hot spots beside the
midline and are fitted to the patients that also set temperature and threshold. Intervals of 95 %: DeLong for areas, which takes the three views of a
patient as independent; bootstrap by patient for the rest. In {refused} further views the engine found no thorax and refused.

{main}

Rows: truth.

{confusion}

The likeliest label stands in these two tables. The engine names the likelier lesion where the probability of any reaches the bundle's threshold, else
it calls the ribs normal:

{at_threshold}

{outside:.1%} of the views were said to be outside of the domain.

## Where the evidence lies

Share of the class activation of the true label, on the matrix of the image: within the lesion as drawn, and within half the system's
resolution (FWHM at 30 mm in the body) of it.

{evidence}

## By acquisition and lesions

{strata}

The same views with a share of their counts, drawn from them; those that are missing were refused, as no thorax was found:

{thinned}

## Real scans

{real}

Both are the same anterior scan, once as it was acquired and once compressed beyond recognition of any rib, which the verdict should
say. One real patient shows no more than that the worst did not happen.

## Where it ends

* Real patients: uptake, overlap and habitus are more varied than any simulation; no labelled scans of ribs were at hand. The simulated
  clavicles lie lower before the ribs than those of the real scan, and cartilage and scapulae are simpler.
* Faint views of the thorax whose field shows no shoulders: the engine often finds no ribs there and says so.
* Fractures and metastases side by side, other diseases of bone, children, views from the side.
* Single short lesions: see the row with one lesion. Fractures and metastases overlap there by construction, as they do in patients.
* It judges ribs; that a vertebra is hot makes no difference to it, by construction.

## References

* Matin, P. (1979). The appearance of bone scans following fractures, including immediate and long-term studies. J. Nucl. Med. 20, 1227-1231.
* Baxter, A. D. et al. (1995). The aetiology of solitary hot spots in the ribs on planar bone scans. Nuclear Medicine Communications 16, 834-837.
* Kara, G. et al. (2003). Solitary rib lesions in bone scans of patients with breast carcinoma. Nuclear Medicine Communications 24, 887-892.
* Zhou, B. et al. (2016). Learning deep features for discriminative localization. CVPR.
* Guo, C. et al. (2017). On calibration of modern neural networks. ICML.
"""


def render_bones(bundle: Bundle, report: BoneReport, patients: int, note: str = "") -> str:
    """Return the card, Markdown.

    Parameters
    ----------
    bundle : Bundle
        What was measured.
    report : BoneReport
        Its figures.
    patients : int
        Simulated patients of the training.
    note : str
        What else to say about the training.
    """
    manifest = bundle.manifest
    grid = manifest.input.grid
    return _CARD.format(
        name=manifest.name,
        title=manifest.title,
        version=manifest.version,
        licence=manifest.licence,
        side=grid.side if grid else 0,
        pitch=grid.pitch_mm if grid else 0,
        weights=len(bundle.model) / 4000,
        data=_sentence("; ".join(manifest.training.data)),
        patients=patients,
        steps=manifest.training.steps,
        minutes=manifest.training.seconds / 60,
        date=manifest.training.date,
        note=f" {note}" if note else "",
        views=len(report.model),
        refused=report.refused,
        main=main_table(report),
        confusion=confusion_table(report),
        at_threshold=threshold_table(report),
        outside=sum(not case.valid for case in report.model) / len(report.model),
        evidence=evidence_table(report),
        strata=strata_table(report),
        thinned=thinned_table(report),
        real=real_table(report),
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
