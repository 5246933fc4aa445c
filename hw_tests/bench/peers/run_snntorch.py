"""A training in snnTorch, as its tutorials write one: a loop over the steps, Linear and Leaky."""

from __future__ import annotations

from epochs import BETA, RATE, SCALE, SLOPE, arguments, serve

work, threads = arguments()

import snntorch  # noqa: E402
import torch  # noqa: E402
from snntorch import surrogate  # noqa: E402

torch.set_num_threads(threads)


class Net(torch.nn.Module):
    """Two layers of Linear and Leaky, with the weights of the work."""

    def __init__(self):
        super().__init__()
        self.linear, self.leaky = torch.nn.ModuleList(), torch.nn.ModuleList()
        for weight, bias in zip(work.weights, work.biases):  # noqa: B905
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
            layer.weight.data = torch.from_numpy(weight.copy())
            layer.bias.data = torch.from_numpy(bias.copy())
            spike = surrogate.fast_sigmoid(SLOPE)
            self.linear.append(layer)
            self.leaky.append(snntorch.Leaky(BETA, spike_grad=spike, reset_mechanism="zero"))

    def forward(self, spikes):
        """Return the spikes of the output, (steps, samples, n)."""
        states = [each.init_leaky() for each in self.leaky]
        sent = []
        for x in spikes:
            for at, (linear, leaky) in enumerate(zip(self.linear, self.leaky)):  # noqa: B905
                x, states[at] = leaky(linear(x), states[at])
            sent.append(x)
        return torch.stack(sent)


net = Net()
method = torch.optim.Adam(net.parameters(), RATE)
spikes, labels = torch.from_numpy(work.spikes), torch.from_numpy(work.labels).long()
some = spikes[:, work.batches()[0]].float().flatten(0, 1)
slopes = torch.ones(len(some), len(work.weights[0]))
largest = torch.from_numpy(work.weights[0])


def epoch():
    losses = []
    for at in work.batches():
        counts = net(spikes[:, at].float()).sum(0)
        loss = torch.nn.functional.cross_entropy(SCALE * counts, labels[at])
        method.zero_grad()
        loss.backward()
        method.step()
        losses.append(loss.detach())
    return [float(each) for each in losses]


def products():
    some @ largest.T
    slopes.T @ some


if __name__ == "__main__":
    said = {"version": f"{snntorch.__version__}, PyTorch {torch.__version__}"}
    serve(epoch, products, **said)
