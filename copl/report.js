'use strict'

// Elements, and how numbers are written
const $ = id => document.getElementById(id)
const D = JSON.parse($('data').textContent)

function make(element, attributes, children) {
  for (const [k, v] of Object.entries(attributes)) {
    if (typeof v === 'function') element[k] = v
    else element.setAttribute(k, v)
  }
  element.append(...children.flat().filter(c => c !== null))
  return element
}

const html = (tag, attributes = {}, ...children) =>
  make(document.createElement(tag), attributes, children)
const svg = (tag, attributes = {}, ...children) =>
  make(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)

const number = (x, digits = 3) => (x === null || x === undefined ? '' : x.toFixed(digits))
const clock = s => (D.frames ? s.toFixed(0) : s.toFixed(s < 100 ? 1 : 0) + ' s')
const between = (low, value, high) => Math.min(Math.max(value, low), high)
const link = (attributes, ...children) =>
  html('button', {type: 'button', class: 'link', ...attributes}, ...children)
const picture = (jpeg, alt) => html('img', {src: `data:image/jpeg;base64,${jpeg}`, alt})

// What numbers and symbols mean
const MEANS = {
  'Training videos': 'The run was given this many videos to train on.',
  Clusters:
    'The run divides the training videos into this many groups; with weak supervision they ' +
    'are the classes of the labels.',
  Purity:
    'This is the fraction of training videos whose class is the most frequent one of their ' +
    'cluster. It is 1 where no cluster mixes classes.',
  NMI:
    'Normalised mutual information measures how well the clusters predict the classes and the ' +
    'classes the clusters: 1 if they are the same, 0 if they are independent.',
  ARI:
    'The adjusted Rand index measures how often clusters and classes agree that two videos ' +
    'belong together, or do not: 1 at best, about 0 by chance.',
  Agreement:
    'This is the fraction of unseen videos that the network puts into the cluster nearest to ' +
    'them. It uses no label. A high agreement shows that the clusters generalise to other ' +
    'videos, not that they are actions. The interval above contains the true fraction in ' +
    '95 of 100 cases.',
  'Test videos': 'The detections were scored on this many videos.',
  'mAP at tIoU 0.5':
    'This is the mean average precision in percent, where a detection counts if its temporal ' +
    'intersection over union with an instance of its class is 0.5 or more.',
  'mAP, average': 'This is the mean of the mAP at tIoU 0.1, 0.2 and so on up to 0.7.',
  'Whole-video baseline':
    'This is the average mAP if each video has one detection, the whole video as its ' +
    'likeliest class. Detections are useful only if their mAP is higher.',
  'Features, sha256': 'Runs with the same fingerprint were trained on the same features.',
  'Test features, sha256': 'Runs with the same fingerprint were tested on the same features.',
  Annotations:
    'The results were compared with these classes and times. The fingerprint of their file ' +
    'follows where there is one.',
  Seed: 'Everything random in the run follows from this number.',
  Streams: 'These are the kinds of features; channels are the number of values for each snippet.',
  P: 'P: selected, the network learns the cluster as the label of the video.',
  U: 'U: filtered, the network does not learn the cluster of the video.',
  A_ca: 'A_ca: class-agnostic attention, how probable any action is in a snippet',
  A_cs: 'A_cs: class-specific attention, the same from the class scores',
  HAS: 'high actionness snippets: the feature of the video is made of these only',
  CAS: 'class activation sequence: the score of each class in a snippet',
}

// The run
function pair([name, value]) {
  const meaning = MEANS[name]
  const word = html('summary', {title: meaning ?? ''}, name)
  const term = meaning ? html('details', {class: 'term'}, word, html('p', {}, meaning)) : name
  return html('div', {}, html('dt', {}, term), html('dd', {}, value))
}

function showRun() {
  document.title = `copl report: ${D.title}`
  const texts = ['title', 'subtitle', 'clusters_note', 'frames_note', 'foot']
  for (const id of [...texts, 'confidence_caption', 'tsne_caption']) $(id).textContent = D[id]
  for (const id of ['tiles', 'card', 'config']) $(id).append(...D[id].map(pair))
  const [why, ...doubts] = D.why.split(/ ?Warning: /)
  const notes = [D.simulated, D.missing, ...doubts].filter(text => text)
  $('notes').append(...notes.map(text => html('p', {class: 'note'}, text)))
  $('verdict').hidden = !why
  $('verdict').className = D.verdict
  $('verdict').append(html('b', {}, `${D.verdict_word}. `), why)
}

// Names of clusters: those that the reader has typed, by number, before those of the run
const typed = new Map()
let saved = true
let heads = [] // of each cluster, the first that has its name: equal names make one class

const nameOf = c => typed.get(c) ?? D.clusters[c].name

function group() {
  const own = D.clusters.map((_, k) => nameOf(k) ?? k)
  heads = own.map(name => own.indexOf(name))
}

function titled(c) {
  const members = [...heads.keys()].filter(k => heads[k] === heads[c])
  return `${members.join(', ')}: ${nameOf(c) ?? 'no name'}`
}

function nameField(k) {
  const label = {'aria-label': `Name of cluster ${k}`}
  const field = html('input', {type: 'text', placeholder: 'name it', ...label})
  field.oninput = () => {
    const name = field.value.trim()
    if (name) typed.set(k, name)
    else typed.delete(k)
    saved = typed.size === 0
    $('save-names').disabled = saved
    $('names-note').textContent = ''
    group()
    for (const c of heads.keys()) $(`cluster-${c}`).textContent = titled(c)
    fillSelects()
    list()
  }
  return field
}

// The file that copl name reads
function saveNames() {
  const quoted = text => `"${text.replaceAll('"', '""')}"`
  const rows = [...typed].sort(([a], [b]) => a - b).map(([k, name]) => `${k},${quoted(name)}\n`)
  const file = new Blob(['cluster,name\n', ...rows], {type: 'text/csv'})
  const address = URL.createObjectURL(file)
  html('a', {href: address, download: 'names.csv'}).click()
  URL.revokeObjectURL(address)
  saved = true
  $('names-note').textContent = 'names.csv: copl name RUN names.csv gives them to the run.'
}

// Clusters
function show(i) {
  reset(D.videos[i].split, '')
  choose(i)
  $('list').focus({preventScroll: true})
  $('viewer').scrollIntoView()
}

function picks(title, videos) {
  const pick = i => {
    const {name, frames} = D.videos[i]
    const inside = [frames.length ? picture(frames[0][1], '') : null, html('span', {}, name)]
    return link({title: name, onclick: () => show(i)}, inside)
  }
  if (!videos.length) return null
  return html('div', {class: 'picks'}, html('h4', {}, title), videos.map(pick))
}

function card(c, k) {
  const open = () => {
    reset(0, String(heads[k]))
    $('videos').scrollIntoView()
  }
  const facts = [`${c.size} ${c.size === 1 ? 'video' : 'videos'}`]
  facts.push(`${c.size - c.selected} filtered (U)`)
  if (c.confidence !== null) facts.push(`confidence ${number(c.confidence)}`)
  if (c.purity !== null) facts.push(`purity ${number(c.purity, 2)}`)
  const title = {id: `cluster-${k}`, title: 'Show the videos of this cluster', onclick: open}
  return html(
    'article',
    {},
    html('h3', {}, link(title, titled(k))),
    nameField(k),
    html('p', {class: 'facts'}, facts.join(' · ')),
    picks('Most confident', c.most),
    picks('Least confident', c.least),
  )
}

function showClusters() {
  group()
  $('cards').append(...D.clusters.map(card))
  $('filtered').textContent = `${MEANS.U} ${MEANS.P}`
  const marks = '[id^=axes] [id^=PathCollection] :is(use, g > path)'
  const points = [...$('tsne').querySelectorAll(marks)]
  if (points.length !== D.tsne.length) return
  for (const [k, point] of points.entries()) {
    const title = svg('title', {}, D.videos[D.tsne[k]].name)
    make(point, {class: 'plays', onclick: () => show(D.tsne[k])}, [title])
  }
}

// The list: filter, order, search
const LISTED = 1000
const state = {shown: [], at: null, from: 0, to: 1, down: null, values: []}
const ORDERS = [
  ['Most confident', 'Least confident'],
  ['Best score', 'Worst score'],
].map(([best, worst]) => Object.entries({down: best, up: worst, name: 'By name'}))

const split = () => Number(document.querySelector('[name=split]:checked').value)

function fill(select, options, value) {
  select.replaceChildren(...options.map(([v, t]) => html('option', {value: v}, t)))
  select.value = options.some(([v]) => v === value) ? value : options[0][0]
}

function fillSelects() {
  const sizes = D.clusters.map(() => 0)
  const s = split()
  for (const v of D.videos) if (v.split === s) sizes[heads[v.cluster]]++
  const groups = [...new Set(heads)].map(k => [String(k), `${titled(k)} (${sizes[k]})`])
  const at = $('cluster').value
  fill($('cluster'), [['', 'All clusters'], ...groups], at && String(heads[at]))
  fill($('sort'), ORDERS[s], $('sort').value)
}

function reset(s, cluster) {
  document.querySelector(`[name=split][value="${s}"]`).checked = true
  $('search').value = ''
  fillSelects()
  $('cluster').value = cluster
  list()
}

function compare(a, b) {
  const [v, w] = [D.videos[a], D.videos[b]]
  const by = {down: -1, up: 1, name: 0}[$('sort').value]
  const rank = x => x.rank ?? -1e9
  return by * (rank(v) - rank(w)) || (v.name < w.name ? -1 : 1)
}

function found(i) {
  const v = D.videos[i]
  const cluster = $('cluster').value
  const query = $('search').value.trim().toLowerCase()
  const inside = cluster === '' || heads[v.cluster] === Number(cluster)
  return inside && v.split === split() && v.name.toLowerCase().includes(query)
}

function option(i) {
  const v = D.videos[i]
  const wrong = v.label !== null && !D.clusters[v.cluster].labels.includes(v.label)
  const what = titled(v.cluster) + (wrong ? `, is ${v.label}` : '')
  const part = v.selected === null ? '' : v.selected ? 'P' : 'U'
  const row = (kind, left, right, title = '') =>
    html('div', {class: kind}, html('span', {}, left), html('span', {title}, right))
  const about = {role: 'option', id: `v${i}`, 'aria-selected': 'false', title: v.name}
  return html(
    'div',
    {...about, onclick: () => choose(i)},
    row('row', v.name, number(v.rank)),
    row('row small', what, part, MEANS[part]),
  )
}

function list() {
  const s = split()
  state.shown = [...D.videos.keys()].filter(found).sort(compare)
  $('list').replaceChildren(...state.shown.slice(0, LISTED).map(option))
  const total = D.videos.filter(v => v.split === s).length
  const cut = state.shown.length > LISTED ? `, the first ${LISTED} listed` : ''
  const right = s ? 'the score of the best detection' : 'confidence, and whether in P or U'
  $('count').textContent = `${state.shown.length} of ${total} videos${cut}; at the right, ${right}`
  choose(state.shown.includes(state.at) ? state.at : (state.shown[0] ?? null))
}

function choose(i) {
  if (i !== state.at) {
    state.at = i
    state.from = 0
    state.to = i === null ? 1 : (D.videos[i].duration ?? 1)
    $('clip').hidden = true
    $('player').pause()
  }
  const place = state.shown.indexOf(i)
  $('previous').disabled = place <= 0
  $('next').disabled = place < 0 || place >= state.shown.length - 1
  $('list').querySelector('[aria-selected=true]')?.setAttribute('aria-selected', 'false')
  const element = i === null ? null : $(`v${i}`)
  $('list').setAttribute('aria-activedescendant', element ? element.id : '')
  if (element) {
    element.setAttribute('aria-selected', 'true')
    const top = element.offsetTop
    const low = top + element.offsetHeight - $('list').clientHeight
    $('list').scrollTop = between(low, $('list').scrollTop, top)
  }
  draw()
  if (addressed && i !== null) history.replaceState(null, '', addressOf(D.videos[i]))
}

function step(n) {
  const place = between(0, state.shown.indexOf(state.at) + n, state.shown.length - 1)
  choose(state.shown[place])
}

// The address names the chosen video: #video=NAME
let addressed = false // not before the reader, or the address, has chosen
const addressOf = v => `#video=${encodeURIComponent(v.name)}`

function readAddress() {
  const name = new URLSearchParams(location.hash.slice(1)).get('video')
  const i = D.videos.findIndex(v => v.name === name)
  if (i < 0 || i === state.at) return
  if (!state.shown.includes(i)) reset(D.videos[i].split, '')
  choose(i)
  $('videos').scrollIntoView()
}

// The timeline: lanes of one time axis. A detection and an instance are [start, end, score, label]
const DASHES = ['', '6 3', '1.5 2.5', '8 3 1.5 3']
const STREAM_COLOURS = [6, 7, 9, 5]
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0))

// keys: [text, colour and dashes of a line] each
function lane({W}, title, height, keys, shapes, label) {
  const sample = (stroke, dash) => {
    const line = {x1: 0, x2: 22, y1: 4, y2: 4, stroke, 'stroke-width': 2, 'stroke-dasharray': dash}
    return svg('svg', {viewBox: '0 0 22 8', 'aria-hidden': 'true'}, svg('line', line))
  }
  const legend = keys.map(([text, stroke, dash = '']) =>
    html('span', {class: 'key'}, stroke ? sample(stroke, dash) : null, text),
  )
  const frame = {class: 'frame', x: 0.5, y: 0.5, width: W - 1, height: height - 1, rx: 3}
  const drawing = {viewBox: `0 0 ${W} ${height}`, height, role: 'img', 'aria-label': label}
  const head = html('h4', {}, html('span', {}, title), legend)
  const inside = svg('svg', drawing, svg('rect', frame), shapes)
  return html('div', {class: 'lane', 'data-lane': title}, head, inside)
}

// Sequences of bytes, 0 to 255, as lines over time
function curveLane(at, title, height, sequences, label, keys = []) {
  const half = svg('line', {class: 'grid', x1: 0, x2: at.W, y1: height / 2, y2: height / 2})
  const curve = ({values, stroke, dash = ''}) => {
    const second = i => D.start + ((at.v.end - D.start) * (i + 0.5)) / values.length
    const y = value => (2 + (height - 4) * (1 - value / 255)).toFixed(1)
    const points = Array.from(values, (value, i) => `${at.x(second(i)).toFixed(1)},${y(value)}`)
    const flat = [0, at.v.duration].map(s => `${at.x(s)},${y(values[0])}`)
    const line = {fill: 'none', stroke, 'stroke-width': 1.5, 'stroke-dasharray': dash}
    return svg('polyline', {...line, points: (values.length === 1 ? flat : points).join(' ')})
  }
  const legend = sequences.map(s => [s.text ?? s.name, s.stroke, s.dash])
  const said = `${label} over time, 0 to 1`
  return lane(at, title, height, [...legend, ...keys], [half, ...sequences.map(curve)], said)
}

// (height, shapes): a bar for each segment, in the first row where it overlaps none, with the
// longest of its texts that fits
function bars({x, W}, segments, text, paint) {
  const rows = [[]]
  const shapes = segments.flatMap(d => {
    let r = rows.findIndex(row => row.every(other => d[1] <= other[0] || d[0] >= other[1]))
    if (r < 0) r = rows.push([]) - 1
    rows[r].push(d)
    const a = Math.max(x(d[0]), 0)
    const b = Math.min(x(d[1]), W)
    if (b <= a) return []
    const y = 4 + 19 * r
    const texts = text(d)
    const short = texts.find(t => t.length <= Math.floor((b - a - 8) / 6.6))
    const title = svg('title', {}, `${texts[0]}, ${clock(d[0])} to ${clock(d[1])}`)
    const box = {x: a, y, width: Math.max(b - a, 1.5), height: 16, rx: 2, ...paint(d)}
    const words = {class: 'bar-text', x: a + 4, y: y + 12}
    return [svg('rect', box, title), short ? svg('text', words, short) : null]
  })
  return [6 + 19 * rows.length, shapes]
}

// Of several names of a cluster, the heaviest
const leading = c => D.clusters[c].labels[0] ?? null

// One colour for each class in this video
function palette(t) {
  const labels = [...(t.truth ?? []).map(d => d[3]), ...t.classes.map(leading)]
  const seen = [...new Set([...labels, ...t.detections.map(d => d[3])])]
  return label => `var(--c${seen.indexOf(label) % 6})`
}

function facts(v, t) {
  const parts = [`cluster ${titled(v.cluster)}`]
  if (v.label !== null) parts.push(`label ${v.label}`)
  const part = v.selected ? 'P (selected)' : 'U (filtered)'
  if (v.split === 0) parts.push(`confidence ${number(v.rank)}, in ${part}`)
  else parts.push(v.rank === null ? 'no detection' : `best score ${number(v.rank)}`)
  if (v.duration !== null) {
    parts.push(D.frames ? `${v.duration.toFixed(0)} frames` : clock(v.duration))
    parts.push(`${v.snippets} snippets`)
  }
  const why = D.missing ? 'see the top of the page' : 'left out to keep the page small'
  if (!t) parts.push(`no timeline: ${why}`)
  return parts.join(' · ')
}

function truthLane(at) {
  const {truth} = at.t
  const colours = d => ({fill: at.paint(d[3]), 'fill-opacity': 0.42, stroke: at.paint(d[3])})
  const [height, shapes] = bars(at, truth, d => [d[3], d[3].slice(0, 9) + '…'], colours)
  const keys = [...new Set(truth.map(d => d[3]))].map(label => [label, at.paint(label)])
  if (!keys.length) keys.push(['none in this video'])
  return lane(at, 'Ground truth', height, keys, shapes, `${truth.length} true instances`)
}

function detectionLane(at, best) {
  const {v, t, paint} = at
  const text = d => [`${number(d[2])} ${d[3]}`, number(d[2]), number(d[2], 2).replace(/^0/, '')]
  const clicked = d => (D.media ? {class: 'plays', onclick: () => play(v, d)} : {})
  const colours = d => ({fill: paint(d[3]), 'fill-opacity': 0.22, stroke: paint(d[3])})
  const [height, shapes] = bars(at, best, text, d => ({...colours(d), ...clicked(d)}))
  const shown = `the best ${best.length} of ${t.detected}, with scores`
  const key = t.detected ? shown + (D.media ? '; a click plays one' : '') : 'none in this video'
  return lane(at, 'Detections', height, [[key]], shapes, `Detections: ${shown}`)
}

function hasLane({v, t, x, W}) {
  const kept = bytes(t.has)
  const width = (x(v.end) - x(D.start)) / kept.length
  const bar = (k, i) => {
    const box = {x: x(D.start) + width * i, width: width + 0.3, y: 20 - (18 * k) / 255}
    const style = {fill: 'var(--c8)', 'shape-rendering': 'crispEdges'}
    return k ? svg('rect', {...box, height: (18 * k) / 255, ...style}) : null
  }
  const share = `${(100 * t.kept).toFixed(0)} % of the snippets`
  return lane({W}, 'HAS selection', 22, [[`${share}, ${MEANS.HAS}`]], [...kept].map(bar), share)
}

function sequences({t, paint}) {
  const streams = D.streams.map((name, i) => ({
    name: `A_ca ${name}`,
    text: `A_ca of stream ${name}, 0 to 1`,
    values: bytes(t.streams[i]),
    stroke: `var(--c${STREAM_COLOURS[i % 4]})`,
  }))
  const mean = (_, k) => streams.reduce((sum, s) => sum + s.values[k], 0) / streams.length
  const several = streams.length > 1 ? ', mean of the streams' : ''
  const ca = {name: 'A_ca', text: MEANS.A_ca + several, stroke: 'var(--c0)'}
  ca.values = Array.from(streams[0].values, mean)
  const cs = {name: 'A_cs', text: MEANS.A_cs, stroke: 'var(--ink)', dash: '5 3'}
  cs.values = bytes(t.cs)
  const classes = t.classes.map((c, i) => ({
    name: `CAS ${c}: ${nameOf(c) ?? 'no name'}`,
    values: bytes(t.cas[i]),
    stroke: paint(leading(c)),
    dash: DASHES[i % 4],
  }))
  return {attention: [ca, cs], streams, classes}
}

function showLanes(v, t, best) {
  const W = Math.max($('lanes').clientWidth, 200)
  const x = s => ((s - state.from) / (state.to - state.from)) * W
  const at = {v, t, W, x, paint: palette(t)}
  const {attention, streams, classes} = sequences(at)
  state.values = $('more').open ? [...attention, ...streams, ...classes] : attention
  $('main-lanes').replaceChildren(
    ...(t.truth ? [truthLane(at)] : []),
    detectionLane(at, best),
    curveLane(at, 'Attention', 64, attention, 'Attention', [['0 to 1']]),
    axis(x, W),
  )
  $('more-lanes').replaceChildren(
    ...(t.has ? [hasLane(at)] : []),
    ...streams.map(s => curveLane(at, s.name, 50, [s], s.text)),
    curveLane(at, 'CAS', 92, classes, 'Softmax of the CAS', [[`${MEANS.CAS}, softmax, 0 to 1`]]),
    axis(x, W),
  )
}

function showFrames(v) {
  const frames = [...(v?.frames ?? [])].sort(([a], [b]) => a - b)
  const seen = ([s, jpeg]) =>
    html('figure', {}, picture(jpeg, `Frame at ${clock(s)}`), html('figcaption', {}, clock(s)))
  $('frames').hidden = !frames.length
  $('strip').replaceChildren(...frames.map(seen))
}

// The clip of a detection, from the file of the video
function play(v, [start, end]) {
  $('clip').hidden = false
  $('player').hidden = !v.file
  $('clip-note').textContent = v.file ? `${clock(start)} to ${clock(end)}` : missingFile()
  if (!v.file) return
  $('player').src = `${v.file}#t=${start},${end}`
  $('player').play().catch(() => {}) // the element itself says what is wrong
}

function missingFile() {
  const v = D.videos[state.at]
  if (!v.file) return `${D.media} held no file of this video when the page was made.`
  const place = $('player').src.split('#')[0]
  return `Expected the video at ${place}: it is not there, or this browser cannot play it.`
}

function draw() {
  const v = D.videos[state.at] ?? null
  const t = v && v.timeline
  showFrames(v)
  $('name').textContent = v ? v.name : 'No video matches'
  $('timeline').hidden = !t
  $('facts').textContent = v ? facts(v, t) : 'Change the cluster or the search.'
  if (!t) return
  const best = t.detections.slice(0, Number($('top').value))
  showLanes(v, t, best)
  for (const id of ['cross', 'brush']) $(id).hidden = true
  $('readout').textContent = 'Point at the timeline to read its values.'
  const zoomed = state.to - state.from < v.duration - 1e-9
  for (const id of ['out', 'whole']) $(id).disabled = !zoomed
  $('earlier').disabled = state.from <= 0
  $('later').disabled = state.to >= v.duration - 1e-9
  $('top-value').textContent = $('top').value
  showDetections(v, t, best)
}

function axis(x, W) {
  const rough = (state.to - state.from) / Math.max(2, W / 75)
  const power = 10 ** Math.floor(Math.log10(rough))
  const gap = [1, 2, 5, 10].map(k => k * power).find(g => g >= rough)
  const box = {class: 'axis', viewBox: `0 0 ${W} 20`, height: 20, 'aria-hidden': 'true'}
  const drawn = svg('svg', box)
  for (let k = Math.ceil(state.from / gap - 1e-9); k * gap <= state.to + 1e-9; k++) {
    const at = x(k * gap)
    const text = Number((k * gap).toPrecision(6)) + (D.frames ? '' : ' s')
    const anchor = at < 12 ? 'start' : at > W - 18 ? 'end' : 'middle'
    drawn.append(
      svg('line', {x1: at, x2: at, y1: 0, y2: 4, stroke: 'var(--soft)'}),
      svg('text', {x: Math.min(at, W - 1), y: 16, 'text-anchor': anchor}, text),
    )
  }
  return drawn
}

// Temporal intersection over union
function overlap(a, b) {
  const shared = Math.max(0, Math.min(a[1], b[1]) - Math.max(a[0], b[0]))
  return shared ? shared / (a[1] - a[0] + b[1] - b[0] - shared) : 0
}

function showDetections(v, t, best) {
  const line = (tag, cells) =>
    html('tr', {}, cells.map((c, i) => html(tag, {class: i ? 'num' : ''}, c)))
  const row = d => {
    const same = (t.truth ?? []).filter(g => g[3] === d[3])
    const first = D.media ? link({onclick: () => play(v, d)}, `Play ${d[3]}`) : d[3]
    const cells = [first, d[0].toFixed(1), d[1].toFixed(1), number(d[2])]
    if (t.truth) cells.push(number(Math.max(0, ...same.map(g => overlap(d, g))), 2))
    return line('td', cells)
  }
  const heads = ['Label', 'Start', 'End', 'Score', ...(t.truth ? ['Best tIoU'] : [])]
  const head = html('thead', {}, line('th', heads))
  $('detections').replaceChildren(head, html('tbody', {}, best.map(row)))
}

// Zooming and reading
function zoom(a, b) {
  const all = D.videos[state.at].duration
  const span = between(all / 200, Math.abs(b - a), all)
  state.from = between(0, Math.min(a, b), all - span)
  state.to = state.from + span
  draw()
}

// k times as long, moved by a part of what is seen
function view(k, by = 0) {
  const span = state.to - state.from
  const centre = (state.from + state.to) / 2 + by * span
  zoom(centre - (k * span) / 2, centre + (k * span) / 2)
}

const whole = () => zoom(0, D.videos[state.at].duration)
const percent = s => `${((100 * s) / (state.to - state.from)).toFixed(2)}%`

function time(event) {
  const box = $('lanes').getBoundingClientRect()
  const part = between(0, (event.clientX - box.left) / box.width, 1)
  return state.from + part * (state.to - state.from)
}

const dragged = (event, down) => down !== null && Math.abs(event.clientX - down.x) > 5

function read(event) {
  const v = D.videos[state.at]
  const s = time(event)
  const part = (s - D.start) / (v.end - D.start)
  const value = ({name, values}) => {
    const i = between(0, Math.floor(part * values.length), values.length - 1)
    return `${name} ${(values[i] / 255).toFixed(2)}`
  }
  $('cross').hidden = false
  $('cross').style.left = percent(s - state.from)
  $('readout').textContent = [clock(s), ...state.values.map(value)].join(' · ')
  if (!dragged(event, state.down)) return
  $('lanes').setPointerCapture(event.pointerId) // not before: a click goes to what it is on
  $('brush').hidden = false
  $('brush').style.left = percent(Math.min(s, state.down.s) - state.from)
  $('brush').style.width = percent(Math.abs(s - state.down.s))
}

function listenToPointer() {
  const lanes = $('lanes')
  lanes.onpointermove = read
  lanes.onpointerdown = event => {
    if (event.target.closest('summary')) return
    const mouse = event.pointerType === 'mouse' && event.button === 0
    if (mouse) state.down = {s: time(event), x: event.clientX}
    read(event)
  }
  lanes.onpointerup = lanes.onpointercancel = event => {
    const down = state.down
    state.down = null
    $('brush').hidden = true
    if (event.type === 'pointerup' && dragged(event, down)) zoom(down.s, time(event))
  }
  lanes.onpointerleave = () => {
    if ($('brush').hidden) $('cross').hidden = true
  }
}

// Keys: arrows choose, + - 0 zoom
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.target.matches('input, select, textarea')) return
  const n = state.shown.length
  const moves = {ArrowRight: 1, ArrowLeft: -1}
  const inList = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -n, End: n}
  if (event.target === $('list')) Object.assign(moves, inList)
  if (n && moves[event.key] && !event.target.closest('.scroll, video')) {
    step(moves[event.key])
    event.preventDefault()
  }
  const zooms = {'+': () => view(0.5), '-': () => view(2), 0: whole}
  if (!$('timeline').hidden) zooms[event.key]?.()
}

function listenToControls() {
  const other = () => {
    fillSelects()
    list()
  }
  for (const radio of document.querySelectorAll('[name=split]')) radio.onchange = other
  $('cluster').onchange = $('sort').onchange = $('search').oninput = list
  $('top').oninput = $('more').ontoggle = draw
  $('save-names').onclick = saveNames
  const moves = {previous: () => step(-1), next: () => step(1), whole}
  Object.assign(moves, {in: () => view(0.5), out: () => view(2)})
  Object.assign(moves, {earlier: () => view(1, -0.5), later: () => view(1, 0.5)})
  for (const [id, move] of Object.entries(moves)) $(id).onclick = move
  $('player').onerror = () => ($('clip-note').textContent = missingFile())
  window.onbeforeunload = event => {
    if (!saved) event.preventDefault()
  }
  document.onkeydown = onKey
  window.onhashchange = readAddress
}

// Light and dark
$('theme').onclick = () => {
  const theme = document.documentElement.dataset.theme
  const dark = theme ? theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  document.documentElement.dataset.theme = dark ? 'light' : 'dark'
}

// Begin
let width = 0
const observer = new ResizeObserver(([entry]) => {
  if (Math.abs(entry.contentRect.width - width) <= 1) return
  width = entry.contentRect.width
  draw()
})

showRun()
showClusters()
$('split-field').hidden = !D.videos.some(v => v.split === 1)
listenToPointer()
listenToControls()
fillSelects()
list()
addressed = true
readAddress()
observer.observe($('viewer'))
