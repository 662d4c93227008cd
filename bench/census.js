'use strict'

/**
 * Compares countSockets() over 200,000 TIME_WAIT entries with a minimal program in C that dumps and counts the same, and
 * with ss(8). They take turns. Prints the medians of the ratios of all turns. Also measures how long a count holds the
 * event loop, next to a control of the same length without a count, and its memory. Runs in a network namespace of its
 * own, so this needs Linux and root.
 */
const { execFileSync, spawnSync } = require('node:child_process')
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { destroyTimeWait, countSockets } = require('../dist/ports')
const { median } = require('./helpers/median')

const ENTRIES = Number(process.env.BENCH_ENTRIES ?? 200_000)
const TURNS = Number(process.env.BENCH_TURNS ?? 9)
const FRESH_MS = 25_000
const SCHEDSTAT = `/proc/self/task/${process.pid}/schedstat`
const everyField = ['localAddress', 'localPort', 'remoteAddress', 'remotePort']
const states = ['TIME_WAIT']
const groupings = {
  'by destination': { states, groupBy: ['remoteAddress', 'remotePort'] },
  'by all fields, 1,000': { states, groupBy: everyField, limit: 1_000 },
  'by all fields': { states, groupBy: everyField },
}
const sources = {
  fill: join(__dirname, '..', 'test', 'lab', 'programs', 'fill-time-wait.c'),
  count: join(__dirname, 'census.c'),
}

function compile(folder) {
  for (const [name, source] of Object.entries(sources)) {
    execFileSync('cc', ['-O2', '-Wall', '-o', join(folder, name), source], { stdio: 'inherit' })
  }
}

/** Processor time of the main thread, ms (proc_pid_schedstat(5)). */
const onProcessor = () => Number(readFileSync(SCHEDSTAT, 'latin1').split(' ')[0]) / 1e6

/**
 * The longest time, in ms, for which the event loop was blocked during `work`: by the clock, and in processor time, which
 * excludes time that other programs had the processor.
 */
async function longestHold(work) {
  let done = false
  const longest = { clock: 0, processor: 0 }
  let last = { clock: performance.now(), processor: onProcessor() }
  const turn = () => {
    const now = { clock: performance.now(), processor: onProcessor() }
    for (const by of Object.keys(longest)) longest[by] = Math.max(longest[by], now[by] - last[by])
    last = now
    if (!done) setImmediate(turn)
  }
  setImmediate(turn)
  await work()
  done = true
  turn()
  return longest
}

/** The TIME_WAIT entries. They last 60 s, and none may expire during a count. */
class Entries {
  #program
  #since = -Infinity

  constructor(folder) {
    this.#program = join(folder, 'fill')
  }

  async renew() {
    if (performance.now() - this.#since < FRESH_MS) return
    await destroyTimeWait({}, { iAcceptDelayedSegments: true })
    this.#since = performance.now()
    execFileSync(this.#program, [String(ENTRIES)])
  }
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function timed(work) {
  const start = performance.now()
  const result = await work()
  return { result, ms: performance.now() - start }
}

async function measure(folder, entries) {
  const columns = Object.keys(groupings).flatMap((name) => [name, `${name}, watched`])
  const seen = Object.fromEntries(['C', 'ss', 'hold without', ...columns].map((name) => [name, []]))
  const check = (count) => {
    // The last one or two may not have reached TIME_WAIT yet.
    if (Math.abs(count - ENTRIES) > 2)
      throw new Error(`${count} of ${ENTRIES} entries: is the machine too slow?`)
  }
  for (let turn = 0; turn < TURNS; turn++) {
    await entries.renew()
    const [count, ns] = JSON.parse(execFileSync(join(folder, 'count'), { encoding: 'utf8' }))
    check(count)
    seen.C.push(ns / 1e6)
    for (const [name, options] of Object.entries(groupings)) {
      const { result, ms } = await timed(() => countSockets(options))
      check(result.total)
      seen[name].push(ms)
    }
    const ss = await timed(() =>
      spawnSync('ss', ['-Htan', 'state', 'time-wait'], { stdio: ['ignore', 'ignore', 'inherit'] }),
    )
    seen.ss.push(ss.ms)
    for (const [name, options] of Object.entries(groupings)) {
      seen[`${name}, watched`].push(await longestHold(() => countSockets(options)))
    }
    seen['hold without'].push(await longestHold(() => pause(median(seen['by all fields']))))
  }
  return seen
}

/** The peak memory of a count in a new process, above the memory before it, in bytes. */
function memoryOf(name) {
  const text = execFileSync(process.execPath, [__filename, 'memory', name], { encoding: 'utf8' })
  return Number(text)
}

async function takeOne(name) {
  await countSockets({ remotePort: 1 })
  const before = process.memoryUsage.rss()
  await countSockets(groupings[name])
  console.log(process.resourceUsage().maxRSS * 1024 - before)
}

function print(seen, memory) {
  const ms = (name) => `${median(seen[name]).toFixed(1).padStart(7)} ms`
  const ratio = (name, base) =>
    median(seen[name].map((value, turn) => value / seen[base][turn])).toFixed(2)
  const hold = (name) => {
    const middle = (by) => median(seen[name].map((longest) => longest[by])).toFixed(1)
    return `${middle('clock')} ms at a stretch, ${middle('processor')} of it on a processor`
  }
  console.log(`${process.version}, ${TURNS} turns, ${ENTRIES} entries in TIME_WAIT`)
  console.log(`${'C, counting only'.padEnd(28)} ${ms('C')}`)
  console.log(`${'ss -Htan'.padEnd(28)} ${ms('ss')}  ${ratio('ss', 'C')} x C`)
  for (const name of Object.keys(groupings)) {
    console.log(
      `${`census ${name}`.padEnd(28)} ${ms(name)}  ${ratio(name, 'C')} x C  ${ratio(name, 'ss')} x ss`,
    )
    console.log(`  event loop held for ${hold(`${name}, watched`)}`)
    console.log(`  extra memory ${(memory[name] / 2 ** 20).toFixed(0)} MiB`)
  }
  console.log(`event loop held without a census for ${hold('hold without')}`)
}

async function inNamespace(folder) {
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  for (const [name, value] of [
    ['tcp_tw_reuse', '0'],
    ['tcp_max_tw_buckets', '262144'],
    // Otherwise a late retransmission could end some entries.
    ['tcp_rfc1337', '1'],
  ]) {
    writeFileSync(`/proc/sys/net/ipv4/${name}`, value)
  }
  const entries = new Entries(folder)
  const seen = await measure(folder, entries)
  await entries.renew()
  print(seen, Object.fromEntries(Object.keys(groupings).map((name) => [name, memoryOf(name)])))
}

function main() {
  if (process.platform !== 'linux' || process.getuid() !== 0) {
    console.log('census: needs Linux and root, for a network namespace of its own')
    return
  }
  const folder = mkdtempSync(join(tmpdir(), 'socket-tuner-bench-'))
  try {
    compile(folder)
    const inside = [process.execPath, __filename, 'inside', folder]
    execFileSync('unshare', ['--net', ...inside], { stdio: 'inherit' })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const [, , role, detail] = process.argv
if (role === 'inside') void inNamespace(detail)
else if (role === 'memory') void takeOne(detail)
else main()
