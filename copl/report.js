'use strict'

// Elements, and how numbers are written
const $ = id => document.getElementById(id)
const D = JSON.parse($('data').textContent)

function make(element, attributes, children) {
  for (const [k, v] of Object.entries(attributes)) element.setAttribute(k, v)
  element.append(...children.filter(c => c !== null))
  return element
}

function html(tag, attributes = {}, ...children) {
  return make(document.createElement(tag), attributes, children)
}

function svg(tag, attributes = {}, ...children) {
  return make(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children)
}

const typed = new Map() // names of clusters that the reader has given, by number
const number = (x, digits = 3) => (x === null || x === undefined ? '' : x.toFixed(digits))
const percent = x => (100 * x).toFixed(0) + ' %'
const clock = s => (D.frames ? s.toFixed(0) : s.toFixed(s < 100 ? 1 : 0) + ' s')
const called = c => typed.get(c) ?? D.clusters[c].name ?? 'no name'

function tableHead(cells) {
  const heads = cells.map(([text, kind]) => html('th', {scope: 'col', class: kind}, text))
  return html('thead', {}, html('tr', {}, ...heads))
}

// The run
function pairs(id, rows, wrap = false) {
  for (const [name, value] of rows) {
    const parts = [html('dt', {}, name), html('dd', {}, value)]
    $(id).append(...(wrap ? [html('div', {}, ...parts)] : parts))
  }
}

function showRun() {
  document.title = `copl report: ${D.title}`
  $('title').textContent = D.title
  $('subtitle').textContent = D.subtitle
  for (const id of ['simulated', 'missing']) {
    $(id).textContent = D[id] ?? ''
    $(id).hidden = !D[id]
  }
  pairs('tiles', D.tiles, true)
  pairs('card', D.card)
  pairs('meanings', D.meanings)
  pairs('config', D.config, true)
  $('confidence-caption').textContent = D.confidence_caption
  $('tsne-caption').textContent = D.tsne_caption
  $('clusters-note').textContent = D.clusters_note
  $('foot').textContent = D.foot
}

function showRounds() {
  const written = v => (v === null ? '' : Number.isInteger(v) ? String(v) : v.toFixed(3))
  const row = values => html('tr', {}, ...values.map(v => html('td', {}, written(v))))
  const head = tableHead(D.rounds.columns.map(c => [c, '']))
  $('rounds-table').append(head, html('tbody', {}, ...D.rounds.rows.map(row)))
}

// Clusters
function link(text, attributes, action) {
  const button = html('button', {type: 'button', class: 'link', ...attributes}, text)
  button.onclick = action
  return button
}

function picture(jpeg, alt) {
  return html('img', {src: `data:image/jpeg;base64,${jpeg}`, alt})
}

function jump(i) {
  const v = D.videos[i]
  const show = () => {
    reset(0, '')
    choose(i, true)
    $('viewer').scrollIntoView()
  }
  const best = v.frames[v.best]
  if (!best) return html('div', {}, link(v.name, {}, show))
  const button = link('', {title: v.name}, show)
  button.append(picture(best[1], ''), html('span', {}, v.name))
  return html('div', {class: 'seen'}, button)
}

// Names that the reader gives, and the file of them that copl name reads
let saved = true

function nameField(k) {
  const label = `Name of cluster ${k}`
  const field = html('input', {type: 'text', 'aria-label': label, placeholder: 'name it'})
  field.oninput = () => {
    const name = field.value.trim()
    if (name) typed.set(k, name)
    else typed.delete(k)
    saved = typed.size === 0
    $('save-names').disabled = saved
    $('names-note').textContent = ''
    field.closest('td').querySelector('button').textContent = `${k}: ${called(k)}`
    fillSelects()
    list()
  }
  return field
}

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

function warnOfNames(event) {
  if (!saved) event.preventDefault()
}

function clusterRow(c, k) {
  const show = link(`${k}: ${called(k)}`, {title: 'Show the videos of this cluster'}, () => {
    reset(0, String(k))
    $('videos').scrollIntoView()
  })
  const figures = [
    ['Videos', String(c.size)],
    ['In P', String(c.selected)],
    ...(D.labelled ? [['Purity', number(c.purity, 2)]] : []),
    ['Confidence', number(c.confidence)],
  ]
  return html(
    'tr',
    {},
    html('td', {class: 'wide'}, show, nameField(k)),
    ...figures.map(([h, v]) => html('td', {class: 'num', 'data-head': h}, v)),
    html('td', {class: 'names', 'data-head': 'Most confident'}, ...c.most.map(jump)),
    html('td', {class: 'names', 'data-head': 'Least confident'}, ...c.least.map(jump)),
  )
}

function showClusters() {
  const heads = [
    ['Cluster', ''],
    ['Videos', 'num'],
    ['In P', 'num'],
    ...(D.labelled ? [['Purity', 'num']] : []),
    ['Confidence', 'num'],
    ['Most confident', 'names'],
    ['Least confident', 'names'],
  ]
  $('cluster-table').append(tableHead(heads), html('tbody', {}, ...D.clusters.map(clusterRow)))
}

// The list: filter, order, search
const LISTED = 1000
const state = {shown: [], at: null, from: 0, to: 1, down: null, values: []}
const orderNames = (best, worst) => [
  ['down', best],
  ['up', worst],
  ['name', 'By name'],
]
const orders = [
  orderNames('Most confident', 'Least confident'),
  orderNames('Best score', 'Worst score'),
]

const split = () => Number(document.querySelector('[name=split]:checked').value)

function fill(select, options, value) {
  select.replaceChildren(...options.map(([v, t]) => html('option', {value: v}, t)))
  select.value = options.some(([v]) => v === value) ? value : options[0][0]
}

function fillSelects() {
  const sizes = D.clusters.map(() => 0)
  const s = split()
  for (const v of D.videos) if (v.split === s) sizes[v.cluster]++
  const clusters = D.clusters.map((c, k) => [String(k), `${k}: ${called(k)} (${sizes[k]})`])
  fill($('cluster'), [['', 'All clusters'], ...clusters], $('cluster').value)
  fill($('sort'), orders[s], $('sort').value)
}

function reset(s, cluster) {
  document.querySelector(`[name=split][value="${s}"]`).checked = true
  $('search').value = ''
  fillSelects()
  $('cluster').value = cluster
  list()
}

function byName(a, b) {
  const [p, q] = [D.videos[a].name, D.videos[b].name]
  return p < q ? -1 : p > q ? 1 : 0
}

function compare(a, b) {
  const rank = i => D.videos[i].rank ?? -Infinity
  const sort = $('sort').value
  if (sort === 'name' || rank(a) === rank(b)) return byName(a, b)
  return (sort === 'up' ? 1 : -1) * (rank(a) < rank(b) ? -1 : 1)
}

function found(i) {
  const v = D.videos[i]
  const cluster = $('cluster').value
  const query = $('search').value.trim().toLowerCase()
  const inside = v.split === split() && (cluster === '' || v.cluster === Number(cluster))
  return inside && v.name.toLowerCase().includes(query)
}

function option(i) {
  const v = D.videos[i]
  const wrong = v.label !== null && !D.clusters[v.cluster].labels.includes(v.label)
  const what = `${v.cluster}: ${called(v.cluster)}` + (wrong ? `, is ${D.labels[v.label]}` : '')
  const part = v.selected === null ? '' : v.selected ? 'P' : 'U'
  const rank = html('span', {class: 'num'}, number(v.rank))
  const element = html(
    'div',
    {role: 'option', id: `v${i}`, 'aria-selected': 'false', title: v.name},
    html('div', {class: 'row'}, html('span', {}, v.name), rank),
    html('div', {class: 'row small'}, html('span', {}, what), html('span', {}, part)),
  )
  element.onclick = () => choose(i)
  return element
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

function choose(i, focus = false) {
  if (i !== state.at) {
    state.at = i
    state.from = 0
    state.to = i === null ? 1 : (D.videos[i].duration ?? 1)
  }
  const place = state.shown.indexOf(i)
  $('previous').disabled = place <= 0
  $('next').disabled = place < 0 || place >= state.shown.length - 1
  mark(i === null ? null : $(`v${i}`))
  if (focus) $('list').focus({preventScroll: true})
  draw()
  if (addressed) writeAddressSoon()
}

function mark(element) {
  $('list').querySelector('[aria-selected=true]')?.setAttribute('aria-selected', 'false')
  $('list').setAttribute('aria-activedescendant', element ? element.id : '')
  if (!element) return
  element.setAttribute('aria-selected', 'true')
  const box = $('list').getBoundingClientRect()
  const at = element.getBoundingClientRect()
  if (at.top < box.top) $('list').scrollTop -= box.top - at.top + 4
  if (at.bottom > box.bottom) $('list').scrollTop += at.bottom - box.bottom + 4
}

function step(n) {
  const next = state.shown[state.shown.indexOf(state.at) + n]
  if (next !== undefined) choose(next)
}

// The address names the chosen video: #video=NAME
const ADDRESS = '#video='
let addressed = false // not before the reader, or the address, has chosen
let writing = 0 // the timer of the next address

// Once the choice rests: a browser stops a page that writes an address for each of many keys
function writeAddressSoon() {
  clearTimeout(writing)
  writing = setTimeout(writeAddress, 150)
}

function writeAddress() {
  if (state.at === null) return
  const address = ADDRESS + encodeURIComponent(D.videos[state.at].name)
  if (address !== location.hash) history.replaceState(null, '', address)
}

function named(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return null // not an address that this page wrote
  }
}

function readAddress() {
  clearTimeout(writing)
  if (!location.hash.startsWith(ADDRESS)) return
  const name = named(location.hash.slice(ADDRESS.length))
  const i = D.videos.findIndex(v => v.name === name)
  if (i < 0 || i === state.at) return
  if (D.videos[i].split !== split() || !state.shown.includes(i)) reset(D.videos[i].split, '')
  choose(i)
  $('videos').scrollIntoView()
}

// The timeline: lanes of one time axis
const DASHES = ['', '6 3', '1.5 2.5', '8 3 1.5 3']
const STREAM_COLOURS = [6, 7, 9, 5]
const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0))

function sample(stroke, dash) {
  const line = {x1: 0, x2: 22, y1: 4, y2: 4, stroke, 'stroke-width': 2, 'stroke-dasharray': dash}
  return svg('svg', {viewBox: '0 0 22 8', 'aria-hidden': 'true'}, svg('line', line))
}

function lane(title, height, keys, shapes, W, label) {
  const legend = keys.map(([text, stroke, dash]) =>
    html('span', {class: 'key'}, stroke ? sample(stroke, dash) : null, text),
  )
  const frame = {class: 'frame', x: 0.5, y: 0.5, width: W - 1, height: height - 1, rx: 3}
  const drawing = {viewBox: `0 0 ${W} ${height}`, height, role: 'img', 'aria-label': label}
  return html(
    'div',
    {class: 'lane', 'data-lane': title},
    html('h4', {}, html('span', {}, title), ...legend),
    svg('svg', drawing, svg('rect', frame), ...shapes),
  )
}

// A sequence of bytes, 0 to 255, as a line
function curve(values, v, x, height, stroke, dash) {
  const at = i => D.start + ((v.end - D.start) * (i + 0.5)) / values.length
  const y = value => (2 + (height - 4) * (1 - value / 255)).toFixed(1)
  const points = Array.from(values, (value, i) => `${x(at(i)).toFixed(1)},${y(value)}`)
  const flat = [0, v.duration].map(s => `${x(s)},${y(values[0])}`)
  return svg('polyline', {
    points: (values.length === 1 ? flat : points).join(' '),
    fill: 'none',
    stroke,
    'stroke-width': 1.5,
    'stroke-dasharray': dash,
    'stroke-linejoin': 'round',
  })
}

// The first row for each segment where it overlaps none
function pack(segments) {
  const rows = []
  return segments.map(([s, e]) => {
    let r = rows.findIndex(row => row.every(([a, b]) => e <= a || s >= b))
    if (r < 0) r = rows.push([]) - 1
    rows[r].push([s, e])
    return r
  })
}

// (height, shapes): a bar for each segment, with the longest of its texts that fits
function bars(segments, x, W, text, paint) {
  const rows = pack(segments)
  const height = 6 + 19 * Math.max(1, ...rows.map(r => r + 1))
  const shapes = segments.flatMap((d, i) => {
    const a = Math.max(x(d[0]), 0)
    const b = Math.min(x(d[1]), W)
    if (b <= a) return []
    const y = 4 + 19 * rows[i]
    const full = text(d)
    const short = full.find(t => t.length <= Math.floor((b - a - 8) / 6.6))
    const title = svg('title', {}, `${full[0]}, ${clock(d[0])} to ${clock(d[1])}`)
    const box = {x: a, y, width: Math.max(b - a, 1.5), height: 16, rx: 2, ...paint(d)}
    const words = {class: 'bar-text', x: a + 4, y: y + 12, fill: 'var(--ink)'}
    return [svg('rect', box, title), ...(short ? [svg('text', words, short)] : [])]
  })
  return [height, shapes]
}

// Of several names of a cluster, the heaviest
const leading = c => D.clusters[c].labels[0] ?? null

// One colour for each class in this video
function palette(t) {
  const truth = (t.truth ?? []).map(d => d[2])
  const detected = t.detections.map(d => d[3])
  const seen = [...new Set([...truth, ...t.classes.map(leading), ...detected])]
  return label => `var(--c${seen.indexOf(label) % 6})`
}

function facts(v, t) {
  const parts = [`cluster ${v.cluster}: ${called(v.cluster)}`]
  if (v.label !== null) parts.push(`label ${D.labels[v.label]}`)
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

function truthLane(t, x, W, paint) {
  const text = d => [D.labels[d[2]], D.labels[d[2]].slice(0, 9) + '…']
  const colours = d => ({fill: paint(d[2]), 'fill-opacity': 0.42, stroke: paint(d[2])})
  const [height, shapes] = bars(t.truth, x, W, text, colours)
  const labels = [...new Set(t.truth.map(d => d[2]))]
  const keys = labels.map(k => [D.labels[k], paint(k), ''])
  if (!keys.length) keys.push(['none in this video'])
  const label = `Ground truth: ${t.truth.length} instances`
  return lane('Ground truth', height, keys, shapes, W, label)
}

function detectionLane(t, best, x, W, paint) {
  const text = d => [
    `${number(d[2])} ${D.labels[d[3]]}`,
    number(d[2]),
    number(d[2], 2).replace(/^0\./, '.'),
  ]
  const colours = d => ({fill: paint(d[3]), 'fill-opacity': 0.22, stroke: paint(d[3])})
  const [height, shapes] = bars(best, x, W, text, colours)
  const shown = `the best ${best.length} of ${t.detected}`
  const key = t.detected ? `${shown}, with scores` : 'none in this video'
  return lane('Detections', height, [[key]], shapes, W, `Detections: ${shown}`)
}

// Six bytes for each proposal: start and end (of 65535), score (of 255), class
function proposalLane(v, t, x, W, paint) {
  const height = 54
  const raw = bytes(t.proposals)
  const view = new DataView(raw.buffer)
  const n = raw.length / 6
  const lines = Array.from({length: n}, (_, i) => {
    const second = at => (view.getUint16(at, true) / 65535) * v.duration
    const y = height - 4 - ((height - 8) * raw[6 * i + 4]) / 255
    const stroke = paint(leading(t.classes[raw[6 * i + 5]]))
    const ends = {x1: x(second(6 * i)), x2: x(second(6 * i + 2)), y1: y, y2: y}
    return svg('line', {...ends, stroke, 'stroke-width': 1, opacity: 0.6})
  })
  const key = `${n < t.proposed ? `the best ${n} of ` : ''}${t.proposed}, higher: better score`
  const label = `${t.proposed} proposals before suppression`
  return lane('Proposals before NMS', height, [[key]], lines, W, label)
}

function hasLane(v, t, x, W) {
  const kept = bytes(t.has)
  const width = (x(v.end) - x(D.start)) / kept.length
  const bar = (k, i) => {
    const height = (18 * k) / 255
    const box = {x: x(D.start) + width * i, width: width + 0.3, y: 20 - height, height}
    return k ? svg('rect', {...box, fill: 'var(--c8)'}) : null
  }
  const shapes = Array.from(kept, bar).filter(r => r)
  const key = `${percent(t.kept)} of the snippets: they alone weigh in the video's feature`
  return lane('HAS selection', 22, [[key]], shapes, W, `Snippets kept by HAS: ${percent(t.kept)}`)
}

function half(height, W) {
  return svg('line', {class: 'grid', x1: 0, x2: W, y1: height / 2, y2: height / 2})
}

function attentions(t) {
  const streams = D.streams.map((name, i) => ({
    name: `A_ca ${name}`,
    values: bytes(t.streams[i]),
    stroke: `var(--c${STREAM_COLOURS[i % 4]})`,
    what: `class-agnostic attention of stream ${name}`,
  }))
  const values = bytes(t.cs)
  const own = {name: 'A_cs', values, stroke: 'var(--ink)', what: 'class-specific attention'}
  return [...streams, own]
}

function attentionLane({name, values, stroke, what}, v, x, W) {
  const height = 50
  const shapes = [half(height, W), curve(values, v, x, height, stroke, '')]
  const label = `${what[0].toUpperCase()}${what.slice(1)} over time, 0 to 1`
  return lane(name, height, [[`${what}, 0 to 1`]], shapes, W, label)
}

function sequences(t, paint) {
  return t.classes.map((c, i) => ({
    name: `${c}: ${called(c)}`,
    values: bytes(t.cas[i]),
    stroke: paint(leading(c)),
    dash: DASHES[i % 4],
  }))
}

function casLane(classes, v, x, W) {
  const height = 92
  const curves = classes.map(c => curve(c.values, v, x, height, c.stroke, c.dash))
  const keys = [...classes.map(c => [c.name, c.stroke, c.dash]), ['0 to 1']]
  const label = 'Softmax of the class activation sequence over time, 0 to 1'
  return lane('CAS', height, keys, [half(height, W), ...curves], W, label)
}

function lanes(v, t, best) {
  const W = Math.max($('lanes').clientWidth, 200)
  const x = s => ((s - state.from) / (state.to - state.from)) * W
  const paint = palette(t)
  const kinds = attentions(t)
  const classes = sequences(t, paint)
  state.values = [
    ...kinds.map(a => [a.name, a.values]),
    ...classes.map(c => [`CAS ${c.name}`, c.values]),
  ]
  return [
    ...(t.truth ? [truthLane(t, x, W, paint)] : []),
    detectionLane(t, best, x, W, paint),
    proposalLane(v, t, x, W, paint),
    ...(t.has ? [hasLane(v, t, x, W)] : []),
    ...kinds.map(a => attentionLane(a, v, x, W)),
    casLane(classes, v, x, W),
    axis(x, W),
  ]
}

function showFrames(v) {
  $('frames').hidden = !v?.frames.length
  if (!v?.frames.length) return
  const seen = ([s, jpeg]) =>
    html('figure', {}, picture(jpeg, `Frame at ${clock(s)}`), html('figcaption', {}, clock(s)))
  $('frames-note').textContent = D.frames_note
  $('strip').replaceChildren(...v.frames.map(seen))
}

function draw() {
  const v = state.at === null ? null : D.videos[state.at]
  const t = v && v.timeline
  showFrames(v)
  $('name').textContent = v ? v.name : 'No video matches'
  $('timeline').hidden = !t
  $('facts').textContent = v ? facts(v, t) : 'Change the cluster or the search.'
  if (!t) return
  const top = Number($('top').value)
  const best = t.detections.slice(0, top)
  const cross = html('div', {id: 'cross', hidden: ''})
  $('lanes').replaceChildren(...lanes(v, t, best), cross, html('div', {id: 'brush', hidden: ''}))
  $('readout').textContent = 'Point at the timeline to read its values.'
  const zoomed = state.to - state.from < v.duration - 1e-9
  for (const id of ['out', 'whole']) $(id).disabled = !zoomed
  $('earlier').disabled = state.from <= 0
  $('later').disabled = state.to >= v.duration - 1e-9
  $('top-value').textContent = top
  showDetections(best, t)
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

function showDetections(best, t) {
  const heads = ['Label', 'Start', 'End', 'Score', ...(t.truth ? ['Best tIoU'] : [])]
  const row = d => {
    const same = (t.truth ?? []).filter(g => g[2] === d[3])
    const cells = [d[0].toFixed(1), d[1].toFixed(1), number(d[2])]
    if (t.truth) cells.push(number(Math.max(0, ...same.map(g => overlap(d, g))), 2))
    const numbers = cells.map(c => html('td', {class: 'num'}, c))
    return html('tr', {}, html('td', {}, D.labels[d[3]]), ...numbers)
  }
  const head = tableHead(heads.map((h, i) => [h, i ? 'num' : '']))
  $('detections').replaceChildren(head, html('tbody', {}, ...best.map(row)))
}

// Zooming and reading
function zoom(from, to) {
  const all = D.videos[state.at].duration
  const span = Math.min(Math.max(to - from, all / 200), all)
  state.from = Math.min(Math.max(0, from), all - span)
  state.to = state.from + span
  draw()
}

function scale(k) {
  const centre = (state.from + state.to) / 2
  const reach = ((state.to - state.from) * k) / 2
  zoom(centre - reach, centre + reach)
}

function shift(k) {
  const distance = k * (state.to - state.from)
  zoom(state.from + distance, state.to + distance)
}

const whole = () => zoom(0, D.videos[state.at].duration)
const between = (low, value, high) => Math.min(Math.max(value, low), high)
const left = s => `${((100 * (s - state.from)) / (state.to - state.from)).toFixed(2)}%`

function time(event) {
  const box = $('lanes').getBoundingClientRect()
  const part = between(0, (event.clientX - box.left) / box.width, 1)
  return state.from + part * (state.to - state.from)
}

const dragged = (event, down) => down !== null && Math.abs(event.clientX - down.x) > 5
const ascending = (a, b) => (a < b ? [a, b] : [b, a])

function read(event) {
  const v = D.videos[state.at]
  const s = time(event)
  const part = (s - D.start) / (v.end - D.start)
  const value = sequence => {
    const i = between(0, Math.floor(part * sequence.length), sequence.length - 1)
    return (sequence[i] / 255).toFixed(2)
  }
  const values = state.values.map(([name, sequence]) => `${name} ${value(sequence)}`)
  $('cross').hidden = false
  $('cross').style.left = left(s)
  $('readout').textContent = [clock(s), ...values].join(' · ')
  if (!dragged(event, state.down)) return
  const [a, b] = ascending(state.down.s, s)
  $('brush').hidden = false
  $('brush').style.left = left(a)
  $('brush').style.width = `${(100 * (b - a)) / (state.to - state.from)}%`
}

function listenToPointer() {
  $('lanes').onpointermove = read
  $('lanes').onpointerdown = event => {
    if (event.pointerType === 'mouse' && event.button === 0) {
      state.down = {s: time(event), x: event.clientX}
      $('lanes').setPointerCapture(event.pointerId)
    }
    read(event)
  }
  $('lanes').onpointerup = event => {
    const down = state.down
    state.down = null
    if (dragged(event, down)) zoom(...ascending(down.s, time(event)))
  }
  $('lanes').onpointercancel = () => {
    state.down = null
    $('brush').hidden = true
  }
  $('lanes').onpointerleave = () => {
    if (state.down === null) $('cross').hidden = true
  }
}

// Keys: arrows choose, + - 0 zoom
function moveOf(event) {
  const n = state.shown.length
  const moves = {ArrowRight: 1, ArrowLeft: -1}
  const inList = {ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -n, End: n}
  if (event.target === $('list')) Object.assign(moves, inList)
  return n && !event.target.closest('.scroll') ? moves[event.key] : undefined
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return
  if (event.target === $('search') && event.key === 'ArrowDown') {
    $('list').focus()
    event.preventDefault()
    return
  }
  if (event.target.matches('input, select, textarea')) return
  const move = moveOf(event)
  if (move !== undefined) {
    const place = between(0, state.shown.indexOf(state.at) + move, state.shown.length - 1)
    choose(state.shown[place])
    event.preventDefault()
  }
  if ($('timeline').hidden) return
  if (event.key === '+') scale(0.5)
  if (event.key === '-') scale(2)
  if (event.key === '0') whole()
}

function listenToControls() {
  for (const radio of document.querySelectorAll('[name=split]')) {
    radio.onchange = () => {
      fillSelects()
      list()
    }
  }
  $('cluster').onchange = list
  $('sort').onchange = list
  $('search').oninput = list
  $('previous').onclick = () => step(-1)
  $('next').onclick = () => step(1)
  $('in').onclick = () => scale(0.5)
  $('out').onclick = () => scale(2)
  $('earlier').onclick = () => shift(-0.5)
  $('later').onclick = () => shift(0.5)
  $('whole').onclick = whole
  $('top').oninput = draw
  $('save-names').onclick = saveNames
  window.onbeforeunload = warnOfNames
  document.onkeydown = onKey
  window.onhashchange = readAddress
}

// Light and dark
const system = matchMedia('(prefers-color-scheme: dark)')

function isDark() {
  const theme = document.documentElement.dataset.theme
  return theme ? theme === 'dark' : system.matches
}

function nameTheme() {
  $('theme').textContent = isDark() ? 'Light' : 'Dark'
  $('theme').setAttribute('aria-label', `Switch to ${isDark() ? 'light' : 'dark'} colours`)
}

$('theme').onclick = () => {
  document.documentElement.dataset.theme = isDark() ? 'light' : 'dark'
  nameTheme()
}
system.onchange = nameTheme

// Begin
let width = 0
const observer = new ResizeObserver(([entry]) => {
  if (Math.abs(entry.contentRect.width - width) <= 1) return
  width = entry.contentRect.width
  draw()
})

showRun()
showRounds()
showClusters()
$('split-field').hidden = !D.videos.some(v => v.split === 1)
nameTheme()
listenToPointer()
listenToControls()
fillSelects()
list()
addressed = true
readAddress()
observer.observe($('viewer'))
