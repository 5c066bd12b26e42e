from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from trainers.distributed import Processes, processes
from trainers.embedder.losses import identity_loss, view_loss
from trainers.embedder.network import DIMENSION, RANDOM, Architecture, embedder_network
from trainers.embedder.objective import CENTRE_STEP, UNKNOWN, Batch, Objective, Term
from trainers.runs import TrainingError

from . import shared_gradient

pytestmark = pytest.mark.filterwarnings("ignore")
TINY = Architecture("test_efficientnet", side=32)


def one_batch(known: int, views: int) -> Batch:
    """``known`` pictures of as many halves of dogs, and two views of each of ``views`` photos; breeds unknown."""
    torch.manual_seed(2)
    count = known + 2 * views
    return Batch(
        images=torch.randn(count, 3, 32, 32),
        dogs=torch.tensor([number // 2 for number in range(known)] + [UNKNOWN] * (2 * views)),
        photos=torch.tensor([*range(known), *(known + number // 2 for number in range(2 * views))]),
        breeds=torch.full((count,), UNKNOWN),
    )


def test_each_loss_sees_the_pictures_that_it_concerns() -> None:
    seen: dict[str, torch.Tensor] = {}

    class Spy(torch.nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            seen[self.name] = labels
            torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(len(labels)))
            return embeddings.sum()

    network = embedder_network(TINY, RANDOM).eval()
    objective = Objective(
        network,
        torch.zeros(2, DIMENSION),
        identity=Term(Spy("identity"), 1.0),
        views=Term(Spy("views"), 1.0),
        breed=Term(Spy("breed"), 1.0),
    )
    batch = one_batch(known=4, views=2)._replace(breeds=torch.tensor([1, 1, -1, -1, 0, 0, -1, -1]))
    assert objective(batch).keys() == {"identity", "views", "breed"}
    assert {name: labels.tolist() for name, labels in seen.items()} == {
        "identity": [0, 0, 1, 1],
        "views": [4, 4, 5, 5],
        "breed": [1, 1, 0, 0],
    }


def test_a_batch_without_a_picture_of_known_breed_has_no_loss_of_breeds() -> None:
    objective = shared_gradient.objective("arcface")
    batch = shared_gradient.batch()
    assert "breed" in objective(batch)
    assert "breed" not in objective(batch._replace(breeds=torch.full((16,), UNKNOWN)))


def test_losses_are_weighted() -> None:
    network = embedder_network(TINY, RANDOM).eval()
    batch = one_batch(known=0, views=3)
    values = [
        Objective(network, torch.zeros(0, DIMENSION), views=Term(view_loss(), weight))(batch)["views"].item()
        for weight in (1.0, 0.25)
    ]
    assert values[1] == pytest.approx(values[0] / 4)


def test_the_centre_of_a_dog_follows_its_embeddings() -> None:
    objective = shared_gradient.objective("arcface")
    centres = torch.nn.functional.normalize(torch.randn(4, DIMENSION))
    objective.centres.copy_(centres)
    batch = shared_gradient.batch()
    objective.train()
    objective.network.eval()
    objective(batch)
    with torch.inference_mode():
        own = objective.network(batch.images[batch.dogs == 1]).mean(dim=0)
    expected = torch.nn.functional.normalize((1 - CENTRE_STEP) * centres[1] + CENTRE_STEP * own, dim=0)
    torch.testing.assert_close(objective.centres[1], expected)


def test_the_class_weights_learn_and_are_part_of_the_checkpoint() -> None:
    objective = shared_gradient.objective("arcface")
    found = shared_gradient.gradient("arcface", objective, shared_gradient.batch())
    assert found["losses.identity.W"].abs().sum() > 0
    assert "losses.identity.W" in objective.state_dict()


def test_the_losses_compute_in_32_bits_behind_a_backbone_in_16() -> None:
    torch.manual_seed(0)
    network = embedder_network(TINY, RANDOM).eval()
    seen: list[torch.Tensor] = []

    class Spy(torch.nn.Module):
        def forward(self, embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            seen.append(embeddings.detach())
            return embeddings.sum()

    batch = one_batch(known=4, views=0)
    for bfloat16 in (False, True):
        centres = torch.zeros(2, DIMENSION)
        Objective(network, centres, identity=Term(Spy(), 1.0), bfloat16=bfloat16)(batch)
    exact, halved = seen
    assert halved.dtype == torch.float32
    assert not torch.equal(exact, halved)
    torch.testing.assert_close(exact, halved, atol=0.02, rtol=0)


@pytest.mark.parametrize("loss", ["arcface", "subcenter", "triplet"])
def test_one_batch_of_known_dogs_can_be_learned_by_heart(loss: str) -> None:
    torch.manual_seed(0)
    network = embedder_network(TINY, RANDOM).eval()
    margin = 0.2 if loss == "triplet" else 28.6
    identity = identity_loss(loss, 4, DIMENSION, margin=margin, scale=30, miner="hard")
    objective = Objective(network, torch.zeros(4, DIMENSION), identity=Term(identity, 1.0))
    losses = learn_by_heart(objective, one_batch(known=8, views=0))
    assert losses[0] > 0.1
    assert losses[-1] < 0.01 * losses[0]


def test_one_batch_of_views_can_be_learned_by_heart() -> None:
    torch.manual_seed(0)
    network = embedder_network(TINY, RANDOM).eval()
    objective = Objective(network, torch.zeros(0, DIMENSION), views=Term(view_loss(), 1.0))
    losses = learn_by_heart(objective, one_batch(known=0, views=4))
    assert losses[0] > 0.5
    assert losses[-1] < 0.01 * losses[0]


def learn_by_heart(objective: Objective, batch: Batch) -> list[float]:
    optimiser = torch.optim.Adam(objective.parameters(), lr=3e-3)
    losses = []
    for _ in range(100):
        loss = torch.stack(list(objective(batch).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_two_processes_have_the_gradient_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    script, shared = shared_gradient.__file__, tmp_path / "shared.pt"
    root = Path(__file__).parents[3]
    subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", script, str(shared)],
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        timeout=300,
    )
    found = torch.load(shared)
    for loss in shared_gradient.LOSSES:
        expected = shared_gradient.gradient(loss, shared_gradient.objective(loss), shared_gradient.batch())
        assert found[loss].keys() == expected.keys()
        for name, values in expected.items():
            # Sums in another order: equal but for rounding.
            assert (found[loss][name] - values).norm() <= 1e-3 * values.norm(), f"{loss}: {name}"


def test_a_batch_that_does_not_divide_among_the_processes_is_an_error() -> None:
    with pytest.raises(TrainingError, match="A batch of 9 photos does not divide among 2"):
        Processes(0, 2, torch.device("cpu")).share(list(range(9)))
    assert Processes(1, 2, torch.device("cpu")).share([5, 6, 7, 8]) == [6, 8]


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU: the error is tested on machines without one")
    with pytest.raises(TrainingError, match="no GPU"), processes("cuda"):
        pass
