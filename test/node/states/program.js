'use strict'

/**
 * Run by test/node/states.test.ts. For each of the given states, makes a target in this state for each group of
 * functions, calls them, and prints the findings line by line, so that the last line before a crash names the calls
 * during which it happened. In a worker thread it calls one group per state, and the next group in the next state.
 */
const { fork } = require('node:child_process')
const cluster = require('node:cluster')
const { readdirSync, statSync, writeSync } = require('node:fs')
const { setTimeout: delay } = require('node:timers/promises')
const { Worker, isMainThread } = require('node:worker_threads')
const { RawSocket, getOption } = require('../../../dist')
const { groupsOf } = require('./calls')
const { failureOf } = require('./failures')
const { Common, Scene, immediate, once } = require('./scene')
const { states } = require('./states')

const DEADLINE_MS = 10_000
/** Options that the calls set, or that closes set. */
const watched = ['SO_KEEPALIVE', 'SO_LINGER', 'TCP_KEEPINTVL', 'TCP_LINGER2']

const task = process.argv[2]
const { names, certificate, inThread = false } = JSON.parse(task)
const common = new Common(certificate)
const unhandled = []

for (const event of ['uncaughtException', 'unhandledRejection'])
  process.on(event, (error) => unhandled.push(`${event}: ${error?.stack ?? error}`))
process.on('warning', (warning) => {
  if (warning.name === 'MaxListenersExceededWarning') unhandled.push(warning.stack)
})

function print(line) {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

/** Since Linux 6.2 the size of this directory is the number of its entries. */
function openDescriptors() {
  const { size } = statSync('/proc/self/fd')
  return size > 0 ? size : readdirSync('/proc/self/fd').length
}

/** Waits until at most `most` descriptors are open, or for the deadline, and returns their number. */
async function descriptorsDownTo(most) {
  const end = performance.now() + DEADLINE_MS
  for (let pause = 0; openDescriptors() > most && performance.now() < end; pause++)
    await delay(pause)
  return openDescriptors()
}

/** A connection that no call may affect. */
class Bystander {
  static async of(scene) {
    const bystander = new Bystander()
    Object.assign(bystander, await scene.pair())
    bystander.accepted.on('data', (chunk) => bystander.accepted.write(chunk))
    return bystander
  }

  async isWell() {
    if (this.client.destroyed || this.accepted.destroyed) return false
    const answered = once(this.client, 'data')
    this.client.write('?')
    const [answer] = await inTime('no answer', answered)
    return String(answer) === '?'
  }
}

/** A socket that takes the number of a descriptor that was closed just before, if any. */
class Newcomer {
  static #fresh
  #raw = RawSocket.open(4)

  constructor() {
    Newcomer.#fresh ??= this.#options()
  }

  #options() {
    return JSON.stringify(watched.map((option) => getOption(this.#raw, option)))
  }

  /** Closes it, and returns whether it was unchanged. */
  leaves() {
    try {
      return this.#options() === Newcomer.#fresh
    } catch {
      return false
    } finally {
      this.#raw.close()
    }
  }
}

/** A process that receives handles. */
class Receiver {
  #child = fork(`${__dirname}/receiver.js`)

  async ready() {
    await once(this.#child, 'message')
  }

  async take(socket) {
    const taken = once(this.#child, 'message')
    this.#child.send('socket', socket)
    await taken
  }

  stop() {
    this.#child.kill()
  }
}

/** Makes the state, calls each function of the group, and returns the findings. */
async function check(state, group, tools) {
  const scene = new Scene(common)
  const troubles = []
  const newcomers = []
  let outcomes = {}
  let acted
  const act = (target) => {
    if (acted !== undefined) troubles.push('the state came twice')
    newcomers.push(new Newcomer())
    acted = Object.entries(group).map(async ([name, call]) => [name, await outcomeOf(call, target)])
    newcomers.push(new Newcomer())
  }
  try {
    await inTime('the state does not come about', state.make(scene, act, tools))
    outcomes = Object.fromEntries(await inTime('never settled', Promise.all(acted)))
  } catch (error) {
    troubles.push(String(error?.stack ?? error))
  }
  // In a state within the handshake, Node is still inside OpenSSL.
  await immediate()
  if (newcomers.some((newcomer) => !newcomer.leaves())) troubles.push('another socket was changed')
  scene.dispose()
  const most = tools.descriptors + (state.leaves ?? 0)
  const descriptors = await descriptorsDownTo(most)
  if (descriptors > most) troubles.push(`${String(descriptors - most)} descriptors are left`)
  tools.descriptors = descriptors
  troubles.push(...unhandled.splice(0))
  return { outcomes, troubles }
}

async function outcomeOf(call, target) {
  try {
    const value = await call(target)
    return typeof value === 'string' ? value : 'value'
  } catch (error) {
    return failureOf(error)
  }
}

async function inTime(complaint, promise) {
  let timer
  const overdue = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(complaint)), DEADLINE_MS)
  })
  try {
    return await Promise.race([promise, overdue])
  } finally {
    clearTimeout(timer)
  }
}

async function checkAll(name, tools) {
  const state = states[name]
  const own = { ...tools, descriptors: Infinity }
  if (state.needs === 'receiver') {
    own.receiver = new Receiver()
    await own.receiver.ready()
  }
  // The first target of a kind may make Node open descriptors that stay open.
  const { troubles: made } = await check(state, {}, own)
  if (made.length > 0) {
    print({ name, calls: ['no call'], outcomes: {}, troubles: made })
    return
  }
  const all = groupsOf(state.kind)
  const groups = isMainThread ? all : [all[names.indexOf(name) % all.length]]
  for (const group of groups) {
    const calls = Object.keys(group)
    print({ name, calls })
    print({ name, calls, ...(await check(state, group, own)) })
  }
  const troubles = (await tools.bystander.isWell()) ? [] : ['another connection was changed']
  print({ name, calls: ['all of them'], outcomes: {}, troubles })
  own.receiver?.stop()
}

async function main() {
  const around = new Scene(common)
  const tools = { bystander: await Bystander.of(around) }
  for (const name of names) await checkAll(name, tools)
  around.dispose()
}

if (names.some((name) => states[name].needs === 'cluster') && cluster.isPrimary) {
  cluster.fork().on('exit', (code, signal) => process.exit(signal === null ? code : 1))
} else if (inThread && isMainThread) {
  new Worker(__filename, { argv: [task] }).on('exit', (code) => process.exit(code))
} else {
  main().then(
    () => process.exit(),
    (error) => {
      process.stderr.write(String(error?.stack ?? error))
      process.exit(1)
    },
  )
}
