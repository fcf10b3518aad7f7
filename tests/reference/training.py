"A training step written as the public code of this field writes it: convolutions of width 1, samples one by one. The oracle for copl.iocnet."
import copy

import numpy as np
import torch
from torch import nn


class Network(nn.Module):
    "The network of copl.IOCNet as 1x1 convolutions over (B, D, T)."
    def __init__(self, like, dropout):
        super().__init__()
        self.d_rgb = like.d_rgb
        for name in ('class_branch', 'rgb_branch', 'flow_branch'):
            first, last = (m for m in getattr(like, name) if isinstance(m, nn.Linear))
            layers = []
            for linear in (first, last):
                layers.append(nn.Conv1d(linear.in_features, linear.out_features, 1).to(linear.weight))
                layers[-1].weight.data, layers[-1].bias.data = linear.weight.data[..., None].clone(), linear.bias.data.clone()
            setattr(self, name, nn.Sequential(layers[0], nn.ReLU(), nn.Dropout(dropout), layers[1]))

    def forward(self, x):
        "(B, T, D) -> CAS (B, T, C), attention of both streams (B, T)."
        x = x.permute(0, 2, 1)
        cas = self.class_branch(x).permute(0, 2, 1)
        return cas, self.rgb_branch(x[:, :self.d_rgb]).sigmoid()[:, 0], self.flow_branch(x[:, self.d_rgb:]).sigmoid()[:, 0]


def shifted(x, moved):
    "Temporal feature shift of the chosen channels, the first half earlier and the rest later."
    out, half = x.clone(), (len(moved) + 1)//2
    earlier, later = moved[:half], moved[half:]
    out[:, :-1, earlier], out[:, -1, earlier] = x[:, 1:, earlier], 0
    out[:, 1:, later], out[:, 0, later] = x[:, :-1, later], 0
    return out


def losses(student, teacher, targets, trusted, config):
    "{name: mean over the batch}, video by video."
    total = dict.fromkeys(('cls', 'asl', 'CI', 'C', 'CO'), 0)
    for b in range(len(targets)):
        cas, a_rgb, a_flow = (o[b] for o in student)
        h = (cas.softmax(-1) + (a_rgb + a_flow)[:, None])/3
        k = max(1, len(cas)//config.top_k)
        top = [h[:, c].detach().topk(k).indices for c in range(cas.shape[1])]
        scores = torch.stack([cas[top[c], c].mean() for c in range(cas.shape[1])])
        positive = torch.zeros(len(cas), dtype=bool)
        for c in torch.nonzero(targets[b]): positive[top[c]] = True
        generalised = lambda p: ((1 - p.clamp_min(1e-6)**config.q)/config.q).mean() if len(p) else 0
        total['cls'] += trusted[b]*-(targets[b]*scores.log_softmax(0)).sum()
        total['asl'] += trusted[b]*sum(generalised(a[positive]) + generalised(1 - a[~positive]) for a in (a_rgb, a_flow))/2
        total['CI'] += ((a_rgb - a_flow)**2).mean()
        specific, agnostic = cas.softmax(-1).max(-1).values, (a_rgb + a_flow)/2
        total['C'] += config.lambda1*(1 - torch.corrcoef(torch.stack([specific, agnostic]))[0, 1])
        classes = ((cas.softmax(-1) - teacher[0][b].softmax(-1))**2).sum(-1)
        attention = ((a_rgb - teacher[1][b])**2 + (a_flow - teacher[2][b])**2)/2
        total['CO'] += config.lambda2*(classes + attention).mean()
    return {name: value/len(targets) for name, value in total.items()}


class Step:
    "One network, its teacher and its optimizer; calling it trains on one mini-batch."
    def __init__(self, like, config):
        self.config = config
        self.student = Network(like, config.dropout)
        self.teacher = copy.deepcopy(self.student).eval()
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        self.t = 0

    def __call__(self, videos, indices, places, moved, targets, trusted):
        "The losses of one update; places are the snippets of each video, moved the shifted channels of each stream."
        samples = []
        for i, where in zip(indices, places, strict=True):
            samples.append(torch.from_numpy(np.concatenate([videos.rgb[i][where], videos.flow[i][where]], 1)))
        x = torch.stack(samples)
        d = self.student.d_rgb
        augmented = torch.cat([shifted(x[..., :d], moved[0]), shifted(x[..., d:], moved[1])], -1)
        with torch.no_grad(): seen = self.teacher(x)
        terms = losses(self.student(augmented), seen, targets, trusted, self.config)
        self.optimizer.zero_grad()
        sum(terms.values()).backward()
        self.optimizer.step()
        self.t += 1
        momentum = min(self.config.gamma, 1 - 1/self.t)
        with torch.no_grad():
            for p, q in zip(self.teacher.parameters(), self.student.parameters(), strict=True): p.copy_(momentum*p + (1 - momentum)*q)
        return {name: float(value.detach()) for name, value in terms.items()}
