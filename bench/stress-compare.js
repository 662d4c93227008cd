'use strict'

/**
 * Compares ways to end connections by `socket-tuner stress --compare`, against the command's own server, in a network
 * namespace of its own: each way has all ephemeral ports. Prints the table, and with --write stores the output of --json
 * in results/stress-compare.json, without the results of the single rounds, from which `npm run docs` draws
 * docs/stress-compare.svg. Linux and root.
 */
const { spawnSync } = require('node:child_process')
const { writeFileSync } = require('node:fs')
const { join } = require('node:path')
const { measuredOn } = require('./helpers/measured-on')

const MAIN = join(__dirname, '..', 'dist', 'cli', 'main.js')
const FILE = join(__dirname, 'results', 'stress-compare.json')
const ROUNDS = process.env.BENCH_ROUNDS ?? '10'
const DURATION = process.env.BENCH_DURATION ?? '2s'
const ARGS = ['--compare', 'fin,deliver,reset,server,keep-alive']

function main() {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    console.log('stress-compare: needs Linux and root, for a network namespace of its own')
    return
  }
  const args = ['stress', ...ARGS, '--rounds', ROUNDS, '--duration', DURATION]
  const inNamespace = 'ip link set lo up && exec "$@"'
  const { status, stdout } = spawnSync(
    'unshare',
    ['-n', 'sh', '-c', inNamespace, 'sh', process.execPath, MAIN, ...args, '--json'],
    { encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  if (status !== 0) throw new Error(`the command ended with ${status}`)
  const { rounds, ways } = JSON.parse(stdout)
  const figures = {
    ...measuredOn(),
    command: `socket-tuner ${args.join(' ')}`,
    rounds,
    ways: ways.map(({ results, ...way }) => ({
      ...way,
      opened: results.reduce((sum, { connections }) => sum + connections.opened, 0),
    })),
  }
  console.dir(figures, { depth: 3 })
  if (process.argv.includes('--write')) writeFileSync(FILE, `${JSON.stringify(figures, null, 2)}\n`)
}

main()
