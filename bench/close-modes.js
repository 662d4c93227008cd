'use strict'

/**
 * Measures the effects of each close mode with the demo: TIME_WAIT entries after many short connections, and bytes
 * lost when a connection is closed while its peer does not read yet. Prints the figures, and with --write stores them
 * in results/close-modes.json, from which `npm run docs` draws docs/close-modes.svg. Needs Linux and root for the demo's
 * network namespace.
 */
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { kernel } = require('./helpers/measured-on')
const { runDemo } = require('../dist/demo/demo')

const CONNECTIONS = Number(process.env.BENCH_CONNECTIONS ?? 10_000)
const SECONDS = 15
const FILE = join(__dirname, 'results', 'close-modes.json')

async function main() {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    console.log('close-modes: needs Linux and root, for a network namespace of its own')
    return
  }
  const nothing = () => undefined
  const observer = { noNamespace: nothing, place: nothing, progress: nothing, result: nothing }
  const options = { connections: CONNECTIONS, seconds: SECONDS, loopback: false }
  const demo = await runDemo(options, observer)
  if (demo.place?.kind !== 'namespace') throw new Error(demo.noNamespace ?? `ended by ${demo}`)
  const figures = {
    date: new Date().toISOString().slice(0, 10),
    kernel: kernel(),
    node: process.version,
    modes: demo.results.map(({ mode, connections, timeWait, written, lost }) => {
      return { mode, connections, timeWait, bytesWritten: written, bytesLost: lost }
    }),
  }
  console.log(figures)
  if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(figures, null, 2)}\n`)
}

void main()
