"""What a researcher would otherwise run: PyTorch on the CPU, on the networks, sizes and data of `recorder/benches/networks.rs`.

Prints one JSON object of least milliseconds by network and work. Run both in one sitting, on an idle machine, and compare ratios:

    python benches/peers/networks.py [--threads 1] [--quick]

Work, for LeNet and ResNet-8 with group normalisation (batch 100) and a transformer (batch 64, Adam):
  train_step   one update
  passes       a forward and backward pass over 400 examples in batches of 100, without an update
  record_hooks the gradients of 400 examples at 300 coordinates of each weight, from activations and output gradients of one pass
               a batch (what an expert writes)
  record_vmap  the same by `torch.func.vmap` (what the documentation teaches), 50 examples at a time
  evaluate     losses and predictions of 2 000 examples in batches of 100
  perceptrons  a step of 784-2048-10 and of 784-256-256-256-10 at batch 100
"""
import argparse, json, time
import torch
from torch import nn
from torch.func import functional_call, grad, vmap

F = nn.functional


def least_ms(work, runs):
    work()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        times.append(1e3 * (time.perf_counter() - start))
    return round(min(times), 3)


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(784, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    def __init__(self, seen, outputs, stride):
        super().__init__()
        def conv(seen, kernel, stride):
            return nn.Sequential(nn.Conv2d(seen, outputs, kernel, stride, kernel // 2), nn.GroupNorm(8, outputs))
        self.body = nn.Sequential(conv(seen, 3, stride), nn.ReLU(), conv(outputs, 3, 1))
        self.shortcut = nn.Identity() if stride == 1 and seen == outputs else conv(seen, 1, stride)

    def forward(self, x):
        return F.relu(self.shortcut(x) + self.body(x))


def resnet():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.GroupNorm(8, 16), nn.ReLU(), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Encoder(nn.Module):
    def __init__(self, width=64, heads=4):
        super().__init__()
        self.norm1, self.norm2, self.heads = nn.LayerNorm(width), nn.LayerNorm(width), heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
        self.inner, self.outer = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask):
        n = self.norm1(x)
        q, k, v = (p(n).unflatten(-1, (self.heads, -1)).transpose(-2, -3) for p in (self.q, self.k, self.v))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + mask
        x = x + self.o((scores.softmax(-1) @ v).transpose(-2, -3).flatten(-2))
        return x + self.outer(F.gelu(self.inner(self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, vocabulary=8700, width=64, context=32):
        super().__init__()
        self.words, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Encoder(width) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 6)

    def forward(self, x):
        is_word = (x != 0).float()
        mask = ((1 - is_word) * -1e9)[:, None, None]
        h = self.words(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h, mask)
        h = (self.norm(h) * is_word[..., None]).sum(1) / is_word.sum(1, keepdim=True).clamp(min=1)
        return self.head(h)


def texts(examples):
    """Sentences of 4 to 23 words; a batch is padded to its longest, as every PyTorch user does."""
    rows = torch.zeros(examples, 32, dtype=torch.int64)
    for i in range(examples):
        for t in range(4 + i * 7 % 20):
            rows[i, t] = 1 + (i * 7919 + t * 104729) % 8699
    return rows


def trimmed(x):
    return x[:, : int((x != 0).sum(1).max())] if x.dtype == torch.int64 else x


def weights(net):
    return {name: p for name, p in net.named_parameters() if not name.endswith("bias")}


def record_hooks(net, x, y, places):
    """Layer by layer: δ and input from hooks, then each chosen coordinate; of small parameters the whole."""
    seen, rows = {}, []
    handles = []
    for name, m in net.named_modules():
        if isinstance(m, (nn.Linear, nn.Conv2d, nn.GroupNorm, nn.LayerNorm, nn.Embedding)):
            def forward(m, inputs, output, name=name):
                output.register_hook(lambda d, name=name, a=inputs[0]: seen.__setitem__(name, (m, a.detach(), d)))
            handles.append(m.register_forward_hook(forward))
    for i in range(0, len(x), 100):
        xb = trimmed(x[i : i + 100])
        F.cross_entropy(net(xb), y[i : i + 100], reduction="sum").backward()
        row = []
        for name, (m, a, d) in seen.items():
            at = places[name + ".weight"]
            b = len(xb)
            if isinstance(m, nn.Linear):
                r, c = at // m.in_features, at % m.in_features
                a, d = a.reshape(b, -1, m.in_features), d.reshape(b, -1, m.out_features)
                row.append(torch.einsum("btk,btk->bk", d[..., r], a[..., c]))
            elif isinstance(m, nn.Conv2d):
                u = F.unfold(a, m.kernel_size, padding=m.padding, stride=m.stride)
                row.append((d.flatten(2) @ u.transpose(1, 2)).flatten(1)[:, at])
            elif isinstance(m, nn.Embedding):
                a = a.expand(b, -1) if a.dim() == 1 else a
                hit = (a[..., None] == (at // m.embedding_dim)).float()
                d = d.expand(b, *d.shape[-2:])
                row.append((hit * d[..., at % m.embedding_dim]).sum(1))
            elif isinstance(m, nn.GroupNorm):
                row.append((F.group_norm(a, m.num_groups) * d).sum((2, 3))[:, at])
            else:
                row.append((F.layer_norm(a, m.normalized_shape) * d).flatten(1, -2).sum(1)[:, at])
        rows.append(torch.cat(row, 1))
    for handle in handles:
        handle.remove()
    net.zero_grad()
    return torch.cat(rows)


def measure(net, optimizer, x, y, batch, quick):
    out, places = {}, {n: torch.randperm(p.numel())[:300] for n, p in weights(net).items()}
    xb, yb = trimmed(x[:batch]), y[:batch]

    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(xb), yb).backward()
        optimizer.step()

    def passes():
        for i in range(0, 400, 100):
            net.zero_grad()
            F.cross_entropy(net(trimmed(x[i : i + 100])), y[i : i + 100], reduction="sum").backward()

    params = {k: v.detach() for k, v in net.named_parameters()}
    one = lambda p, x, y: F.cross_entropy(functional_call(net, p, (x[None],)), y[None])
    gradients = vmap(grad(one), in_dims=(None, 0, 0), chunk_size=50)

    def by_vmap():
        for i in range(0, 400, 50):
            g = gradients(params, trimmed(x[i : i + 50]), y[i : i + 50])
            torch.cat([g[n].flatten(1)[:, at] for n, at in places.items()], 1)

    def evaluate():
        with torch.no_grad():
            for i in range(0, len(x), 100):
                logits = net(trimmed(x[i : i + 100]))
                F.cross_entropy(logits, y[i : i + 100], reduction="none"), logits.argmax(1)

    runs = 3 if quick else 7
    out["train_step"] = least_ms(step, 4 * runs)
    out["passes"] = least_ms(passes, runs)
    out["record_hooks"] = least_ms(lambda: record_hooks(net, x[:400], y[:400], places), runs)
    out["record_vmap"] = least_ms(by_vmap, 1)
    out["evaluate"] = least_ms(evaluate, runs)
    return out


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--quick", action="store_true", help="fewer runs")
    a = a.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(a.threads)
    out = {"torch": torch.__version__, "threads": a.threads}
    y = torch.arange(2000) % 10
    net = lenet()
    out["lenet"] = measure(net, torch.optim.SGD(net.parameters(), 0.1), torch.rand(2000, 1, 28, 28), y, 100, a.quick)
    net = resnet()
    out["resnet"] = measure(net, torch.optim.SGD(net.parameters(), 0.1), torch.rand(2000, 3, 32, 32), y, 100, a.quick)
    net = Transformer()
    out["transformer"] = measure(net, torch.optim.Adam(net.parameters(), 1e-3), texts(2000), y % 6, 64, a.quick)
    # Pixels as MNIST has them: four fifths are black.
    x = torch.rand(100, 784) * (torch.rand(100, 784) < 0.19)
    for sizes in ((784, 2048, 10), (784, 256, 256, 256, 10)):
        layers = []
        for i, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:])):
            layers += [nn.Linear(fan_in, fan_out)] + ([nn.ReLU()] if i + 2 < len(sizes) else [])
        net = nn.Sequential(*layers)
        optimizer = torch.optim.SGD(net.parameters(), 0.1)
        def step():
            optimizer.zero_grad()
            F.cross_entropy(net(x), y[:100]).backward()
            optimizer.step()
        out["-".join(map(str, sizes))] = least_ms(step, 100)
    print(json.dumps(out, indent=1))


main()
