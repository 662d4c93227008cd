'use strict'

/** Writes the tables of docs/stress.md that bench/stress-latency.js measured. */
const { readFileSync } = require('node:fs')
const prettier = require('prettier')

const DIGITS = 3

/** @param file docs/stress.md @param figures results/stress-latency.json */
async function withLatencyTables(file, { servers, ...place }) {
  const text = readFileSync(file, 'utf8')
  const parts = Object.entries(servers).reduce(
    (page, [name, clients]) => replaced(page, `measured: ${name}`, tableOf(clients)),
    replaced(text, 'measured on', placeOf(place)),
  )
  return prettier.format(parts, { ...(await prettier.resolveConfig(file)), parser: 'markdown' })
}

/** The page with another text between a pair of comments. */
function replaced(page, name, text) {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`]
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error(`docs/stress.md has no pair of ${begin} and ${end}`)
  return `${page.slice(0, from + begin.length)}\n\n${text}\n\n${page.slice(to)}`
}

function placeOf({ kernel, node, processors, date }) {
  return `Measured by \`node bench/stress-latency.js\` on ${kernel} with Node ${node.slice(1)}, ${processors} processors, ${date}.`
}

function tableOf(clients) {
  const rows = clients.map(({ client, answered, samples, ...latencies }) => [
    `\`${client}\``,
    ...[answered, samples].map((count) => count?.toLocaleString('en-US') ?? 'not reported'),
    ...['p50', 'p99', 'p999', 'max'].map((name) => milliseconds(latencies[name])),
  ])
  const heads = ['client', 'answers', 'samples', 'p50', 'p99', 'p99.9', 'max']
  return [heads, ['---', ...heads.slice(1).map(() => '---:')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n')
}

function milliseconds(ms) {
  return `${ms >= 100 ? Math.round(ms).toLocaleString('en-US') : Number(ms.toPrecision(DIGITS))} ms`
}

module.exports = { withLatencyTables }
