'use strict'

/**
 * import [FOLDER]: measures the cost of loading each entry beyond bare Node: elapsed time, processor time and resident
 * memory, as medians of processes that take turns with processes that load nothing. FOLDER has an installed
 * package, whose modules are bundled. Without it, the modules of dist/ are loaded.
 */
const { spawnSync } = require('node:child_process')
const { join, resolve } = require('node:path')
const { exports: entries, name: library } = require('../package.json')
const { median } = require('./helpers/median')

const TURNS = Number(process.env.BENCH_TURNS ?? 15)
const root = resolve(process.argv[2] ?? join(__dirname, '..'))

/** The program of each process: prints the time of loading, ms, the processor time until then, ms, and the memory, bytes. */
function program(file) {
  return `
    const before = performance.now()
    ${file === undefined ? '' : `require(${JSON.stringify(file)})`}
    const milliseconds = performance.now() - before
    const { user, system } = process.cpuUsage()
    const { rss } = process.memoryUsage()
    console.log(JSON.stringify({ milliseconds, processor: (user + system) / 1e3, rss }))`
}

function run(file) {
  const { stdout, status } = spawnSync(process.execPath, ['-e', program(file)], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`cannot load ${file}`)
  return JSON.parse(stdout)
}

const files = Object.entries(entries)
  .filter(([entry]) => entry !== './package.json')
  .map(([entry, target]) => [join(library, entry), join(root, target.default)])

console.log(`${process.version}, ${TURNS} turns`)
for (const [entry, file] of files) {
  const cost = { milliseconds: [], processor: [], rss: [] }
  for (let turn = 0; turn < TURNS; turn++) {
    const [bare, loaded] = [run(), run(file)]
    for (const name of Object.keys(cost)) cost[name].push(loaded[name] - bare[name])
  }
  console.log(
    [
      entry.padEnd(26),
      `${median(cost.milliseconds).toFixed(1).padStart(6)} ms`,
      `${median(cost.processor).toFixed(1).padStart(6)} ms of the processor`,
      `${(median(cost.rss) / 1e6).toFixed(1).padStart(6)} MB`,
    ].join('  '),
  )
}
