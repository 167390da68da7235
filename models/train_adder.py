"""Trains the adder: a decoder-only GPT that completes `123+456=` with `0579`, and exports it to ONNX.

Run with Debian's Python (python3-torch 1.13, python3-onnx, python3-numpy): /usr/bin/python3 models/train_adder.py
Without libopenblas0-pthread beside them, Debian's reference BLAS makes it several times slower.
Writes adder.onnx, adder.json, adder.heldout.json and adder.data/ beside this file. Seeded, single-threaded, CPU only.
"""

import argparse
import json
import math
import os
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

from recorded_data import export_model, write_data_set

HERE = os.path.dirname(os.path.abspath(__file__))
VOCABULARY = "0123456789+="
PROMPT_LENGTH = 8  # ddd+ddd=
ANSWER_LENGTH = 4  # most significant digit first, zero-padded
SEQUENCE = PROMPT_LENGTH + ANSWER_LENGTH
LAYERS, WIDTH, HEADS, HIDDEN = 4, 96, 4, 384
SEED = 20
HELD_OUT_PAIRS = 5000
HELD_OUT_LISTED = 200


class Gelu(nn.Module):
    """The tanh form of GELU, written out."""

    def forward(self, x):
        return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0))))


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("mask", torch.tril(torch.ones(SEQUENCE, SEQUENCE)).view(1, 1, SEQUENCE, SEQUENCE))

    def forward(self, x):
        batch = x.shape[0]
        q, k, v = self.qkv(x).split(WIDTH, dim=2)
        q = q.view(batch, SEQUENCE, HEADS, WIDTH // HEADS).transpose(1, 2)
        k = k.view(batch, SEQUENCE, HEADS, WIDTH // HEADS).transpose(1, 2)
        v = v.view(batch, SEQUENCE, HEADS, WIDTH // HEADS).transpose(1, 2)
        scores = (q @ k.transpose(-2, -1)) / math.sqrt(WIDTH // HEADS)
        scores = scores.masked_fill(self.mask == 0, float("-inf"))
        context = F.softmax(scores, dim=-1) @ v
        return self.out(context.transpose(1, 2).reshape(batch, SEQUENCE, WIDTH))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attention = Attention()
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, HIDDEN), Gelu(), nn.Linear(HIDDEN, WIDTH))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(len(VOCABULARY), WIDTH)
        self.positions = nn.Embedding(SEQUENCE, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, len(VOCABULARY), bias=False)
        self.register_buffer("indices", torch.arange(SEQUENCE).view(1, SEQUENCE))
        self.apply(self.initialise)
        for block in self.blocks:
            for linear in (block.attention.out, block.mlp[2]):
                nn.init.normal_(linear.weight, std=0.02 / math.sqrt(2 * LAYERS))

    @staticmethod
    def initialise(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, input_ids):
        x = self.tokens(input_ids) + self.positions(self.indices)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def encode(a, b):
    """Rows of token ids `aaa+bbb=ssss` for vectors of summands."""
    total = a + b
    plus = torch.full_like(a, VOCABULARY.index("+"))
    equals = torch.full_like(a, VOCABULARY.index("="))
    columns = [a // 100, a // 10 % 10, a % 10, plus, b // 100, b // 10 % 10, b % 10, equals]
    columns += [total // 1000, total // 100 % 10, total // 10 % 10, total % 10]
    return torch.stack(columns, dim=1)


def split_pairs(generator):
    """Held-out pairs (a, b) and the mask of pairs that training may use: neither a held-out pair nor its mirror."""
    order = torch.randperm(1_000_000, generator=generator)[:HELD_OUT_PAIRS]
    a, b = order // 1000, order % 1000
    allowed = torch.ones(1000, 1000, dtype=torch.bool)
    allowed[a, b] = False
    allowed[b, a] = False
    return a, b, allowed


def sample(size, allowed, generator):
    """`size` allowed pairs; one in four is bent towards digit sums of nine, so that long carries are not rare."""
    pairs = torch.randint(0, 1000, (2 * size, 2), generator=generator)
    a, b = pairs[:, 0], pairs[:, 1].clone()
    # In the bent pairs some digits of b become nine minus those of a: a carry from the right runs through them.
    nines = torch.randint(0, 8, (2 * size,), generator=generator)
    chosen = torch.randint(0, 4, (2 * size,), generator=generator) == 0
    for bit, place in enumerate((1, 10, 100)):
        digit, mirrored = b // place % 10, 9 - a // place % 10
        change = chosen & ((nines >> bit) % 2 == 1)
        b = torch.where(change, b + (mirrored - digit) * place, b)
    keep = allowed[a, b].nonzero().squeeze(1)[:size]
    return encode(a[keep], b[keep])


def generate_answers(model, rows):
    """The model's own answers, digit by digit; positions not yet written hold token 0, which the mask hides."""
    rows = rows.clone()
    rows[:, PROMPT_LENGTH:] = 0
    for position in range(PROMPT_LENGTH, SEQUENCE):
        rows[:, position] = model(rows)[:, position - 1].argmax(dim=-1)
    return rows


@torch.no_grad()
def accuracy(model, a, b):
    """Share of pairs answered right. One pass with the answer filled in tells: every digit is the model's choice after
    the right digits before it exactly if generation, which starts with no digit, ends in the right answer."""
    expected = encode(a, b)
    right = 0
    for start in range(0, len(a), 1000):
        rows = expected[start : start + 1000]
        chosen = model(rows)[:, PROMPT_LENGTH - 1 : SEQUENCE - 1].argmax(dim=-1)
        right += int((chosen == rows[:, PROMPT_LENGTH:]).all(dim=1).sum())
    return right / len(a)


def learning_rate(step, steps):
    warm = min(1.0, (step + 1) / 100)
    return 1e-3 * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / steps)))


def train(model, a, b, allowed, generator, steps, batch):
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    started = time.time()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        rows = sample(batch, allowed, generator)
        logits = model(rows)[:, PROMPT_LENGTH - 1 : SEQUENCE - 1]
        loss = F.cross_entropy(logits.reshape(-1, len(VOCABULARY)), rows[:, PROMPT_LENGTH:].reshape(-1))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        if step % 200 == 199:
            score = accuracy(model, a[:1000], b[:1000])
            print(f"step {step + 1} loss {loss.item():.5f} held-out {score:.4f} {time.time() - started:.0f} s", flush=True)


def decode(row):
    return "".join(VOCABULARY[int(token)] for token in row)


def write_json(name, value):
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--checkpoint", help="file for the trained weights; where it exists, nothing is trained")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    a, b, allowed = split_pairs(generator)
    model = Adder()
    if options.checkpoint is not None and os.path.exists(options.checkpoint):
        model.load_state_dict(torch.load(options.checkpoint))
    else:
        train(model, a, b, allowed, generator, options.steps, options.batch)
        if options.checkpoint is not None:
            torch.save(model.state_dict(), options.checkpoint)
    model.eval()
    held_out = accuracy(model, a, b)
    print(f"held-out {held_out:.4f}", flush=True)

    rows = generate_answers(model, encode(torch.tensor([123]), torch.tensor([456])))
    print(decode(rows[0]), flush=True)
    prompt = rows.clone()
    prompt[:, PROMPT_LENGTH:] = 0
    export_model(model, (prompt,), os.path.join(HERE, "adder.onnx"), ["input_ids"], ["logits"], opset=17)
    for number, ids in enumerate((prompt, rows)):
        with torch.no_grad():
            logits = model(ids)
        folder = os.path.join(HERE, "adder.data", f"test_data_set_{number}")
        write_data_set(folder, {"input_ids": ids.numpy()}, {"logits": logits.numpy()})
    write_json(
        "adder.json",
        {
            "model": "adder.onnx",
            "task": "adds two 3-digit numbers: the prompt is aaa+bbb= (zero-padded), the answer 4 digits",
            "vocabulary": list(VOCABULARY),
            "input": "input_ids",
            "output": "logits",
            "sequenceLength": SEQUENCE,
            "promptLength": PROMPT_LENGTH,
            "answerLength": ANSWER_LENGTH,
            "answerOrder": "most-significant-first",
            "fillToken": 0,
            "layers": LAYERS,
            "width": WIDTH,
            "heads": HEADS,
            "hidden": HIDDEN,
            "parameters": sum(p.numel() for p in model.parameters()),
            "seed": SEED,
            "steps": options.steps,
            "batch": options.batch,
            "heldOutPairs": HELD_OUT_PAIRS,
            "heldOutAccuracy": held_out,
        },
    )
    listed = [
        {"prompt": f"{int(x):03d}+{int(y):03d}=", "answer": f"{int(x + y):04d}"}
        for x, y in zip(a[:HELD_OUT_LISTED], b[:HELD_OUT_LISTED])
    ]
    write_json("adder.heldout.json", listed)


if __name__ == "__main__":
    main()
