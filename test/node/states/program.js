'use strict'

/**
 * Run by test/node/states.test.ts: makes each of some states of a target once for each group of functions
 * that take one, calls these, and prints what came of it line by line, so that the last line before a crash
 * has the call that it was in. In a worker thread it does so for one group of each state, which is another one for
 * the next state.
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
/** Options that the calls set, by themselves or to close. */
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

/** Since Linux 6.2 the size of the directory is their number. */
function openDescriptors() {
  const { size } = statSync('/proc/self/fd')
  return size > 0 ? size : readdirSync('/proc/self/fd').length
}

/** The number of open descriptors, when it is no more than `most`, or at the deadline. */
async function descriptorsDownTo(most) {
  const end = performance.now() + DEADLINE_MS
  for (let pause = 0; openDescriptors() > most && performance.now() < end; pause++)
    await delay(pause)
  return openDescriptors()
}

/** A connection that nobody may touch. */
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

/** Has the number of a descriptor that was closed just before, if one was. */
class Newcomer {
  static #fresh
  #raw = RawSocket.open(4)

  constructor() {
    Newcomer.#fresh ??= this.#options()
  }

  #options() {
    return JSON.stringify(watched.map((option) => getOption(this.#raw, option)))
  }

  /** Whether it is as it was; closes it. */
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

/** Takes handles over, in a process of its own. */
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

/** Makes the state, and calls each function of the group; returns what came of it. */
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
  // Node is inside OpenSSL still when a state is one of the handshake.
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
  // What Node opens once stays open.
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
