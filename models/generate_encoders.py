"""Writes bert-mini.onnx and vit-mini.onnx: encoders with seeded random weights, and their recorded data.

Run with Debian's Python (python3-torch 1.13, python3-onnx, python3-numpy): /usr/bin/python3 models/generate_encoders.py
The weights are not trained: the models are there for their graphs, as PyTorch exports them.
"""

import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

from recorded_data import export_model, write_data_set

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEADS, HIDDEN = 128, 4, 512
BERT_SEED, BERT_LAYERS, BERT_SEQUENCE, BERT_VOCABULARY = 101, 2, 32, 1000
VIT_SEED, VIT_LAYERS, VIT_IMAGE, VIT_PATCH, VIT_CLASSES = 202, 3, 48, 8, 10


def initialise(module):
    """Unit-gain weights and norms that are not the identity, so that every part of the graph shows in the output."""
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        nn.init.normal_(module.weight, std=1 / math.sqrt(module.weight[0].numel()))
        nn.init.normal_(module.bias, std=0.1)
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.5)
    if isinstance(module, nn.LayerNorm):
        nn.init.normal_(module.weight, mean=1.0, std=0.1)
        nn.init.normal_(module.bias, std=0.1)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH)
        self.key = nn.Linear(WIDTH, WIDTH)
        self.value = nn.Linear(WIDTH, WIDTH)
        self.output = nn.Linear(WIDTH, WIDTH)

    def split(self, x):
        return x.view(x.shape[0], x.shape[1], HEADS, WIDTH // HEADS).permute(0, 2, 1, 3)

    def forward(self, x, penalty):
        scores = torch.matmul(self.split(self.query(x)), self.split(self.key(x)).transpose(-1, -2))
        scores = scores / math.sqrt(WIDTH // HEADS)
        if penalty is not None:
            scores = scores + penalty
        context = torch.matmul(F.softmax(scores, dim=-1), self.split(self.value(x)))
        return self.output(context.permute(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], WIDTH))


class BertLayer(nn.Module):
    """Norms after the residuals."""

    def __init__(self):
        super().__init__()
        self.attention = SelfAttention()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-12)
        self.up = nn.Linear(WIDTH, HIDDEN)
        self.down = nn.Linear(HIDDEN, WIDTH)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, penalty):
        x = self.norm1(self.attention(x, penalty) + x)
        return self.norm2(self.down(F.gelu(self.up(x))) + x)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(BERT_VOCABULARY, WIDTH)
        self.types = nn.Embedding(2, WIDTH)
        self.positions = nn.Embedding(BERT_SEQUENCE, WIDTH)
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList([BertLayer() for _ in range(BERT_LAYERS)])
        self.pooler = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("position_ids", torch.arange(BERT_SEQUENCE).view(1, -1))
        self.apply(initialise)

    def forward(self, input_ids, token_type_ids, attention_mask):
        penalty = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * -10000.0
        x = self.words(input_ids) + self.types(token_type_ids) + self.positions(self.position_ids)
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, penalty)
        return x, torch.tanh(self.pooler(x[:, 0]))


class VitLayer(nn.Module):
    """Norms before the halves of a layer."""

    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attention = SelfAttention()
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.up = nn.Linear(WIDTH, HIDDEN)
        self.down = nn.Linear(HIDDEN, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.norm1(x), None)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, kernel_size=VIT_PATCH, stride=VIT_PATCH)
        self.class_token = nn.Parameter(torch.randn(1, 1, WIDTH) * 0.5)
        self.positions = nn.Parameter(torch.randn(1, 1 + (VIT_IMAGE // VIT_PATCH) ** 2, WIDTH) * 0.5)
        self.layers = nn.ModuleList([VitLayer() for _ in range(VIT_LAYERS)])
        self.norm = nn.LayerNorm(WIDTH, eps=1e-6)
        self.head = nn.Linear(WIDTH, VIT_CLASSES)
        self.apply(initialise)

    def forward(self, pixel_values):
        x = self.patches(pixel_values).flatten(2).transpose(1, 2)
        x = torch.cat((self.class_token.expand(x.shape[0], -1, -1), x), dim=1) + self.positions
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


@torch.no_grad()
def generate_bert():
    torch.manual_seed(BERT_SEED)
    model = Bert().eval()
    names = ["input_ids", "token_type_ids", "attention_mask"]
    outputs = ["last_hidden_state", "pooler_output"]
    positions = torch.arange(BERT_SEQUENCE).view(1, -1)
    for number, attended in enumerate((BERT_SEQUENCE, 20)):
        ids = torch.randint(0, BERT_VOCABULARY, (1, BERT_SEQUENCE))
        types = (positions >= BERT_SEQUENCE // 2).to(torch.int64)
        mask = (positions < attended).to(torch.int64)
        inputs = (ids, types, mask)
        if number == 0:
            export_model(model, inputs, os.path.join(HERE, "bert-mini.onnx"), names, outputs, opset=14)
        folder = os.path.join(HERE, "bert-mini.data", f"test_data_set_{number}")
        recorded = zip(outputs, (tensor.numpy() for tensor in model(*inputs)))
        write_data_set(folder, {name: tensor.numpy() for name, tensor in zip(names, inputs)}, dict(recorded))


@torch.no_grad()
def generate_vit():
    torch.manual_seed(VIT_SEED)
    model = Vit().eval()
    pixels = torch.rand(1, 3, VIT_IMAGE, VIT_IMAGE) * 2 - 1
    export_model(model, (pixels,), os.path.join(HERE, "vit-mini.onnx"), ["pixel_values"], ["logits"], opset=17)
    folder = os.path.join(HERE, "vit-mini.data", "test_data_set_0")
    write_data_set(folder, {"pixel_values": pixels.numpy()}, {"logits": model(pixels).numpy()})


if __name__ == "__main__":
    torch.set_num_threads(1)
    generate_bert()
    generate_vit()
