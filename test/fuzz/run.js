'use strict'

/**
 * The frame of a fuzz program, whose arguments are the number of calls and the seed. It drops root's privileges, opens
 * victims (sockets that calls may change) and sentinels (sockets that must not change), and prints the result as one
 * line of JSON. Only descriptors that were opened here are passed to calls.
 */
const { setTimeout: delay } = require('node:timers/promises')
const { Random } = require('./random')
const { Sentinels, openSockets } = require('./sentinels')
const { Pool } = require('./victims')

const MOST_FAULTS = 20
const AT_A_STRETCH = 1_000
const DEADLINE_MS = 20_000

/** Waits, turn by turn of the event loop, until the condition is met or the deadline has passed. Returns which. */
async function until(condition) {
  const end = performance.now() + DEADLINE_MS
  while (!condition()) {
    if (performance.now() > end) return false
    await delay(1)
  }
  return true
}

class Run {
  faults = []
  counts = {}
  #made = 0
  #calls
  #socketsBefore

  constructor([calls, seed = (Date.now() & 0x7fff_ffff) ^ process.pid]) {
    this.#calls = Number(calls)
    this.random = new Random(Number(seed))
    process.stderr.write(`seed ${this.random.seed}\n`)
    if (process.getuid() === 0) {
      process.setgroups([])
      process.setgid(65_534)
      process.setuid(65_534)
    }
    this.#socketsBefore = openSockets()
    this.sentinels = new Sentinels()
    this.pool = new Pool(this.random)
  }

  /** Each fault is reported once. */
  fault(text) {
    if (this.faults.length < MOST_FAULTS && !this.faults.includes(text)) this.faults.push(text)
  }

  count(what) {
    this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  /** Makes the calls, and occasionally awaits `between`. */
  async make(call, between) {
    while (this.#made < this.#calls) {
      for (let left = AT_A_STRETCH; left > 0; left--, this.#made++) call()
      await between()
      if (this.random.once(10)) this.faults.push(...this.sentinels.faults())
    }
    this.faults.push(...this.sentinels.faults())
  }

  /** Runs the program and prints the result. An error of the program itself is a fault too. */
  async report(program) {
    try {
      await program()
      await this.#end()
    } catch (error) {
      this.faults.push(`after ${this.#made} calls the program threw ${error.stack}`)
    }
    const { faults, counts } = this
    console.log(JSON.stringify({ seed: this.random.seed, faults, counts }))
  }

  /** Closes the victims. Sockets without an owner must have been closed by then. */
  async #end() {
    this.pool.closeAll()
    const expected = this.#socketsBefore + this.sentinels.fds.length
    const closed = await until(() => {
      globalThis.gc()
      return openSockets() === expected
    })
    if (!closed) this.fault(`${openSockets() - expected} sockets too many are open`)
    if (this.pool.lost > 0) this.fault(`${this.pool.lost} victims were closed by something else`)
  }
}

module.exports = { Run, until }
