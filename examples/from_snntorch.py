"""From a snnTorch network in memory to a chip: trained here on handwritten digits, then deployed.

Needs PyTorch, snntorch and scikit-learn beside spikeport (`make torch-test` makes such a place).

    python examples/from_snntorch.py --out report
"""

import argparse

import snntorch as snn
import torch
from sklearn.datasets import load_digits
from snntorch import functional
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

import spikeport as sp


class Net(nn.Module):
    """Two layers of leaky neurons; an image is shown as a current for 25 steps."""

    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 100)
        self.lif1 = snn.Leaky(beta=0.9, reset_mechanism="zero")
        self.fc2 = nn.Linear(100, 10)
        self.lif2 = snn.Leaky(beta=0.9, reset_mechanism="zero")

    def forward(self, x):
        """Return the spikes of the last layer, (step, sample, class)."""
        mem1, mem2, spikes = self.lif1.init_leaky(), self.lif2.init_leaky(), []
        for _ in range(25):
            spk1, mem1 = self.lif1(self.fc1(x), mem1)
            spk2, mem2 = self.lif2(self.fc2(spk1), mem2)
            spikes.append(spk2)
        return torch.stack(spikes)


def train(net, loader, epochs):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    loss_of = functional.ce_rate_loss()
    for _ in range(epochs):
        for x, y in loader:
            loss = loss_of(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main(out, epochs):
    torch.manual_seed(0)
    digits = load_digits()
    images = TensorDataset(
        torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    )
    training, held_out = random_split(images, [1400, 397])
    net, test_loader = Net(), DataLoader(held_out, 128)
    train(net, DataLoader(training, 64, shuffle=True), epochs)

    sample, _ = next(iter(test_loader))
    network = sp.from_module(net, sample)
    data = sp.data_from(test_loader, network, encode="constant", steps=25)
    result = sp.deploy(network, chip="loihi1", data=data, out=out, backends_wanted=["emulator"])
    accuracy = result["accuracy"]
    print(*result["repairs"], sep="\n")
    print(f"reference {accuracy['reference']:.2%}, chip {accuracy['emulator']:.2%}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=None, help="folder for the report")
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    main(options.out, options.epochs)
