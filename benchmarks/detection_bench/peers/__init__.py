"""Known detectors of loss spikes, written anew from their descriptions with the defaults they ship.

One of them also stands with settings chosen on the very curves: what a choice can do for a simple rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from detection_bench.peers.dlib import dlib
from detection_bench.peers.intern_evo import intern_evo
from detection_bench.peers.kill_loss_spike import kill_loss_spike
from detection_bench.peers.lightning import lightning
from detection_bench.peers.megatron import megatron
from detection_bench.peers.olmo import olmo2_paper, olmo_core, olmo_core_hindsight, olmo_core_loss
from detection_bench.peers.trainscope import trainscope
from detection_bench.peers.zclip import zclip
from detection_bench.verdict import Detector

PEERS: Final[Mapping[str, Detector]] = {
    "KillLossSpike": kill_loss_spike,
    "Lightning SpikeDetection": lightning,
    "Megatron spiky loss": megatron,
    "OLMo-core loss": olmo_core_loss,
    "OLMo-core loss, best in hindsight": olmo_core_hindsight,
    "OLMo-core loss+grad": olmo_core,
    "OLMo 2 paper": olmo2_paper,
    "dlib slope": dlib,
    "ZClip z-score": zclip,
    "trainscope CUSUM": trainscope,
    "InternEvo ratio": intern_evo,
}
