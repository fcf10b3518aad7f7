"""Algorithm 1 written out plainly: convolutions, one video at a time, one triple at a time.

The oracle for copl.has, copl.plri, copl.iocnet, copl.losses, copl.algorithm and copl.engine.
It shares with them the addresses of random numbers and nothing else."""
import copy
import itertools
import math

import numpy as np
import torch
from sklearn.cluster import SpectralClustering
from torch import nn

from copl.files import generator, torch_seed

from . import clustering


class Branch(nn.Module):
    "A convolution over the snippets and its neighbours, then one over each snippet."
    def __init__(self, first, last, kernel):
        super().__init__()
        channels = first.in_features//kernel
        self.first = nn.Conv1d(channels, first.out_features, kernel,
                               padding=kernel//2).to(first.weight)
        self.last = nn.Conv1d(last.in_features, last.out_features, 1).to(last.weight)
        self.first.weight.data = first.weight.detach().unflatten(
            1, (kernel, channels)).permute(0, 2, 1).contiguous()
        self.last.weight.data = last.weight.detach()[..., None].clone()
        self.first.bias.data = first.bias.detach().clone()
        self.last.bias.data = last.bias.detach().clone()

    def forward(self, x, drop=lambda h: h):
        "(B, D, T) -> (B, out, T) and the hidden features (B, H, T)."
        h = self.first(x).relu()
        return self.last(drop(h)), h


class Network(nn.Module):
    "The network of copl.IOCNet as convolutions over (B, D, T), class branch first."
    def __init__(self, branches, widths, kernel):
        super().__init__()
        self.widths = list(widths)
        self.branches = nn.ModuleList(Branch(first, last, kernel) for first, last in branches)

    @classmethod
    def like(cls, network):
        "The same weights as a copl.IOCNet."
        branches = [network.class_branch, *network.attention_branches]
        return cls([(b.first, b.last) for b in branches], network.widths.values(),
                   branches[0].kernel)

    def forward(self, x, drops=None):
        """(B, T, D) -> CAS (B, T, C), attention of each stream [(B, T)],
        hidden features of each branch [(B, T, H)]."""
        x = x.permute(0, 2, 1)
        drops = drops or [lambda h: h]*len(self.branches)
        parts = [x, *x.split(self.widths, 1)]
        (cas, hidden), *others = (
            branch(part, drop)
            for branch, part, drop in zip(self.branches, parts, drops, strict=True))
        return (cas.permute(0, 2, 1), [a.sigmoid()[:, 0] for a, _ in others],
                [h.permute(0, 2, 1) for h in (hidden, *(h for _, h in others))])

    def weights(self, of=lambda parameter: parameter):
        "All of them, or their gradients, in the order and the form of copl.IOCNet."
        return torch.cat([part.flatten() for b in self.branches for part in (
            of(b.first.weight).permute(0, 2, 1), of(b.first.bias), of(b.last.weight),
            of(b.last.bias))])


def high(A):
    "[T] whether each snippet is at or above the median, the lower one of two in the middle."
    A = A.tolist()
    return [a >= sorted(A)[(len(A) - 1)//2] for a in A]


def actionness(cas, attention):
    "A_cs and A_ca of one video, (T,) each."
    return 1/(1 + torch.exp(-cas.sum(-1))), sum(attention)/len(attention)


def has(cas, attention, alpha):
    "(T,) A^HAS of one video."
    A_cs, A_ca = actionness(cas, attention)
    A = [(a + b).item()/2 if p and q else 0.
         for a, b, p, q in zip(A_cs, A_ca, high(A_cs), high(A_ca), strict=True)]
    n = 0
    while n < alpha*len(A) - 1e-9: n += 1
    kept = sorted(range(len(A)), key=lambda t: (-A[t], t))[:n]
    return [A[t] if t in kept else 0. for t in range(len(A))]


def feature(x, A):
    "(D,) of unit length: the weighted sum of the snippets."
    F = sum(a*row for a, row in zip(A, x, strict=True) if a)
    return F/torch.linalg.vector_norm(F)


def shifted(x, moved):
    "Temporal feature shift of the chosen channels, first half earlier, rest later; (..., T, D)."
    out = x.clone()
    half = (len(moved) + 1)//2
    earlier = moved[:half]
    later = moved[half:]
    out[..., :-1, earlier] = x[..., 1:, earlier]
    out[..., -1, earlier] = 0
    out[..., 1:, later] = x[..., :-1, later]
    out[..., 0, later] = 0
    return out


def squared(a, b):
    "Mean squared difference."
    return ((a - b)**2).mean()


def contrast(hidden, A_cs, A_ca, tau=.1):
    "L_C in the space of one branch of one video, triple by triple, negative by negative."
    T = len(A_cs)
    by_cs = high(A_cs)
    by_ca = high(A_ca)
    action = [t for t in range(T) if by_cs[t] and by_ca[t]]
    background = [t for t in range(T) if not by_cs[t] and not by_ca[t]]
    unsure = [t for t in range(T) if by_cs[t] != by_ca[t]]
    if not (action and background and unsure): return hidden.sum()*0
    k = max(1, T//20)
    def highest(group): return sorted(group, key=lambda t: -A_cs[t].item())[:k]
    def lowest(group): return sorted(group, key=lambda t: A_cs[t].item())[:k]
    CA, CB, IA, IB = highest(action), lowest(background), highest(unsure), lowest(unsure)
    def unit(v): return v/max(v.norm(), 1e-12)
    def mean(group): return unit(torch.stack([hidden[t] for t in group]).mean(0))
    total = 0
    for anchor, positive, negatives in ((IA, CA, CB), (IB, CB, CA), (CA, IA, CB), (CB, IB, CA)):
        near = (mean(anchor) @ mean(positive)/tau).exp()
        far = sum((mean(anchor) @ unit(hidden[t])/tau).exp() for t in negatives)
        total = total - torch.log(near/(near + far))
    return total


def losses(student, teacher, targets, selected, config):
    "{name: mean over the batch}, video by video; student and teacher as `Network` gives them."
    total = dict.fromkeys(('cls', 'asl', 'CI', 'C', 'CO'), 0)
    for b in range(len(targets)):
        cas = student[0][b]
        attention = [a[b] for a in student[1]]
        hidden = [h[b] for h in student[2]]
        h = (cas.softmax(-1) + sum(attention)[:, None])/(1 + len(attention))
        k = max(1, len(cas)//config.top_k)
        top = [h[:, c].detach().topk(k).indices for c in range(cas.shape[1])]
        scores = torch.stack([cas[top[c], c].mean() for c in range(cas.shape[1])])
        positive = torch.zeros(len(cas), dtype=bool)
        for c in torch.nonzero(targets[b]): positive[top[c]] = True
        def generalised(p):
            return ((1 - p.clamp_min(1e-6)**config.q)/config.q).mean() if len(p) else 0
        total['cls'] += selected[b]*-(targets[b]*scores.log_softmax(0)).sum()
        total['asl'] += selected[b]*sum(generalised(a[positive]) + generalised(1 - a[~positive])
                                        for a in attention)
        A_cs, A_ca = actionness(cas, attention)
        pairs = [squared(a, b) for a, b in itertools.combinations(attention, 2)]
        total['CI'] += .1*squared(A_cs, A_ca) + (
            config.lambda_streams*sum(pairs)/len(pairs) if pairs else 0)
        A_cs, A_ca = A_cs.detach(), A_ca.detach()
        total['C'] += config.lambda1*sum(contrast(x, A_cs, A_ca) for x in hidden)
        classes = ((cas.softmax(-1) - teacher[0][b].softmax(-1))**2).sum(-1).mean()
        total['CO'] += config.lambda2*(
            config.co_classes*classes
            + sum(squared(a, other[b])
                  for a, other in zip(attention, teacher[1], strict=True))/len(attention))
    return {name: value/len(targets) for name, value in total.items()}


class AdamW:
    "Loshchilov and Hutter (2019), one parameter at a time."
    def __init__(self, parameters, lr, weight_decay):
        self.slots = [(p, torch.zeros_like(p), torch.zeros_like(p)) for p in parameters]
        self.lr = lr
        self.weight_decay = weight_decay
        self.t = 0

    def step(self):
        "One update from the gradients, which are then forgotten."
        self.t += 1
        for p, mean, square in self.slots:
            mean.mul_(.9).add_(.1*p.grad)
            square.mul_(.999).add_(.001*p.grad**2)
            p.data -= self.lr*self.weight_decay*p.data
            p.data -= self.lr*(mean/(1 - .9**self.t))/((square/(1 - .999**self.t)).sqrt() + 1e-8)
            p.grad = None


class Learner:
    "A student with the random weights of round n, its teacher, its optimizer."
    def __init__(self, videos, config, n):
        widths = list(videos.widths.values())
        k = config.kernel
        with torch.random.fork_rng():
            torch.manual_seed(torch_seed(config.seed, 'weights', n))
            shapes = [(sum(widths), config.n_classes), *((d, 1) for d in widths)]
            linear = [(nn.Linear(k*d, config.hidden), nn.Linear(config.hidden, out))
                      for d, out in shapes]
        self.student = Network(linear, widths, k)
        self.teacher = copy.deepcopy(self.student)
        self.optimizer = AdamW(self.student.parameters(), config.lr, config.weight_decay)
        self.t = 0

    def update(self, loss, gamma):
        "One step of the student; the teacher follows."
        loss.backward()
        self.optimizer.step()
        self.t += 1
        momentum = min(gamma, (self.t - 1)/self.t)
        for p, q in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            p.data = momentum*p.data + (1 - momentum)*q.data


class Mask:
    """Dropout of a film (all snippets of a mini-batch one behind the other) by one random byte
    for each value; cut into videos afterwards."""
    def __init__(self, rows, channels, fraction):
        dropped = min(round(256*fraction), 255)
        if not dropped: self.scale = torch.ones(rows, channels)
        else:
            words = torch.empty(math.ceil(rows*channels/8), dtype=torch.int64).random_(-2**63, None)
            drawn = torch.from_numpy(
                words.numpy().view(np.uint8)[:rows*channels].astype(int)).view(rows, channels)
            self.scale = torch.where(drawn < dropped, 0., 256/(256 - dropped))


def step_outputs(learner, videos, indices, positions, moved, config):
    """What student and teacher say at the sampled positions of each video; dropout is drawn for
    each distinct snippet and the blanks after each video."""
    reach = config.kernel//2
    widths = list(videos.widths.values())
    distinct = [sorted(set(p.tolist())) for p in positions]
    starts = np.cumsum([0] + [len(d) + reach for d in distinct])
    masks = [Mask(starts[-1], d, config.input_dropout) for d in widths]
    hidden = [Mask(starts[-1], config.hidden, config.dropout) for _ in range(1 + len(widths))]
    said = []
    for i, p, seen, at in zip(indices, positions, distinct, starts, strict=False):
        inside = slice(at, at + len(seen))
        again = torch.tensor([seen.index(t) for t in p.tolist()])
        whole = [torch.tensor(x) for x in videos[int(i)]]
        x = torch.cat([s[seen] for s in whole], -1)
        augmented = torch.cat([shifted(s, m)[seen]*mask.scale[inside]
                               for s, m, mask in zip(whole, moved, masks, strict=True)], -1)
        drops = [lambda h, mask=mask, inside=inside: h*mask.scale[inside].T for mask in hidden]
        with torch.no_grad(): teacher = learner.teacher(x[None])
        student = learner.student(augmented[None], drops)
        said.append([(cas[:, again], [a[:, again] for a in A], [h[:, again] for h in hs])
                     for cas, A, hs in (student, teacher)])
    def together(k):
        return (torch.cat([s[k][0] for s in said]),
                *([torch.cat(x) for x in zip(*(s[k][j] for s in said), strict=True)]
                  for j in (1, 2)))
    return together(0), together(1)


def renamed(previous, y, n_clusters):
    "The clusters, renamed so that most videos keep theirs; raises where two ways are equally good."
    ways = [np.array(names)[y] for names in itertools.permutations(range(n_clusters))]
    kept = [(way == previous).sum() for way in ways]
    assert kept.count(max(kept)) == 1, 'two ways to rename'
    return ways[int(np.argmax(kept))]


def spectral(F, config):
    "Clusters by scikit-learn, from the plain affinity."
    affinity = np.array(clustering.rbf_affinity(F, config.beta))
    return SpectralClustering(
        config.n_classes, affinity='precomputed', assign_labels='kmeans', n_init=10,
        random_state=config.seed).fit_predict(affinity)


def run(videos, config, cluster=spectral):
    """Algorithm 1: (F, y, s, selected, weights of the teacher, of the student, losses of each
    epoch) of each round; delta or all, has or class_agnostic."""
    learner = Learner(videos, config, 0)
    y = None
    for n in range(config.iteration_num):
        F = []
        for streams in videos:
            x = torch.cat([torch.tensor(s) for s in streams], -1)
            with torch.no_grad(): cas, attention, _ = learner.teacher(x[None])
            A = [1.]*len(x)
            if n and config.attention == 'class_agnostic':
                A = actionness(cas[0], [a[0] for a in attention])[1].tolist()
            elif n: A = has(cas[0], [a[0] for a in attention], config.alpha)
            F.append(feature(x, A))
        F = torch.stack(F).numpy()
        found = cluster(F, config)
        y = found if y is None else renamed(y, found, config.n_classes)
        s = np.array(clustering.confidence_scores(F, y))
        selected = np.array([
            config.select == 'all' or score >= config.delta and (y == c).sum() > 1
            for score, c in zip(s, y, strict=True)])
        if n and not config.carry_weights: learner = Learner(videos, config, n)
        log = []
        for m in range(config.epoch_num):
            log.append(dict.fromkeys(config.losses, 0.))
            rng = generator(config.seed, 'batches', n, m)
            channels = torch.Generator().manual_seed(torch_seed(config.seed, 'shift', n, m))
            with torch.random.fork_rng():
                torch.manual_seed(torch_seed(config.seed, 'dropout', n, m))
                order = rng.permutation(len(videos))
                for first in range(0, len(order), config.batch_size):
                    indices = order[first:first + config.batch_size]
                    positions = [
                        np.floor((np.arange(config.snippets) + rng.random(config.snippets))
                                 *T/config.snippets).astype(int).clip(max=T - 1)
                        for T in videos.lengths[indices]]
                    moved = [torch.randperm(d, generator=channels)[:round(config.shift*d)]
                             for d in videos.widths.values()]
                    said = step_outputs(learner, videos, indices, positions, moved, config)
                    terms = losses(*said, torch.eye(config.n_classes)[y[indices]],
                                   torch.from_numpy(selected).float()[indices], config)
                    done = n + m/config.epoch_num
                    if done < config.ramp_up:
                        terms['asl'] = terms['asl']*math.exp(-5*(1 - done/config.ramp_up)**2)
                    learner.update(sum(terms[name] for name in config.losses), config.gamma)
                    for name in config.losses:
                        log[-1][name] += terms[name].item()*len(indices)/len(videos)
        yield (F, y, s, selected, learner.teacher.weights().detach(),
               learner.student.weights().detach(), log)


class Step:
    """A training step as the public code of this field has it: every sampled position goes through
    the convolutions, torch's own dropout and AdamW. Alone: without a teacher and the shift."""
    def __init__(self, like, config, precision=torch.float32, losses=losses, alone=False):
        self.config = config
        self.precision = precision
        self.losses = losses
        self.alone = alone
        self.student = Network.like(like)
        self.teacher = copy.deepcopy(self.student)
        self.optimizer = torch.optim.AdamW(self.student.parameters(), lr=config.lr,
                                           weight_decay=config.weight_decay)
        self.t = 0

    def __call__(self, videos, indices, positions, moved, targets, selected):
        """The losses of one update; positions are the snippets of each video,
        moved the shifted channels of each stream."""
        batch = [torch.stack([torch.from_numpy(x[i][p])
                              for i, p in zip(indices, positions, strict=True)])
                 for x in videos.streams.values()]
        drop = nn.Dropout(self.config.input_dropout)
        unit = nn.Dropout(self.config.dropout)
        with torch.autocast('cpu', torch.bfloat16, enabled=self.precision == torch.bfloat16):
            if not self.alone:
                with torch.no_grad(): teacher = self.teacher(torch.cat(batch, -1))
                batch = [shifted(x, m) for x, m in zip(batch, moved, strict=True)]
            augmented = torch.cat([drop(x) for x in batch], -1)
            student = self.student(augmented, [unit]*len(self.student.branches))
            if self.alone: teacher = student
        terms = self.losses(*((cas.float(), [a.float() for a in A], [h.float() for h in hidden])
                              for cas, A, hidden in (student, teacher)),
                            targets, selected, self.config)
        self.optimizer.zero_grad()
        sum(terms.values()).backward()
        self.optimizer.step()
        self.t += 1
        momentum = min(self.config.gamma, 1 - 1/self.t)
        with torch.no_grad():
            for p, q in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
                if not self.alone: p.copy_(momentum*p + (1 - momentum)*q)
        return {name: float(value.detach()) for name, value in terms.items()}
