'use strict'

/**
 * Compares the percentiles of `socket-tuner stress` with those of a server whose delays are known, with one process and
 * with several workers. Exits with code 1 if one of them differs by more than 2 %. Needs a machine without other load.
 */
const { fork } = require('node:child_process')
const { once } = require('node:events')
const { join } = require('node:path')
const { stress } = require('../dist/stress')
const { quantile } = require('./helpers/delay-server')

const SECONDS = Number(process.env.BENCH_SECONDS ?? 20)
const RATE = Number(process.env.BENCH_RATE ?? 200)
const WORKERS = [1, 2, 4]
const TOLERATED = 0.02

async function main() {
  const server = fork(join(__dirname, 'helpers', 'delay-server.js'))
  const [{ port }] = await once(server, 'message')
  const target = `http://127.0.0.1:${port}/`
  let worst = 0
  console.log(`${process.version}, ${SECONDS} s of ${RATE}/s each, delays of 20 to 500 ms`)
  console.log('workers       p50       p90       p99   samples  late sends (p99)  valid')
  const shares = [50, 90, 99]
  console.log(
    `known   ${shares
      .map((each) =>
        quantile(each / 100)
          .toFixed(2)
          .padStart(9),
      )
      .join(' ')}`,
  )
  for (const workers of WORKERS) {
    const { result } = stress({
      target,
      workers,
      connections: RATE,
      ratePerSecond: RATE,
      requestsPerConnection: 'keep-alive',
      warmupMs: 2_000,
      durationMs: 1_000 * SECONDS,
    })
    const { latency, generator, valid } = await result
    const measured = shares.map((each) => latency.percentilesMs[`p${each}`])
    const errors = shares.map((each, at) => measured[at] / quantile(each / 100) - 1)
    worst = Math.max(worst, ...errors.map(Math.abs))
    console.log(
      `${String(workers).padEnd(8)}${measured.map((ms) => ms.toFixed(2).padStart(9)).join(' ')} ` +
        `${String(latency.count).padStart(9)}  ${generator.lag.percentilesMs.p99.toFixed(2).padStart(13)} ms  ${valid}`,
    )
    console.log(
      `        ${errors.map((error) => `${(100 * error).toFixed(2)} %`.padStart(9)).join(' ')}`,
    )
  }
  server.disconnect()
  console.log(`The worst of them is ${(100 * worst).toFixed(2)} % off.`)
  if (worst > TOLERATED) process.exitCode = 1
}

void main()
