'use strict'

/** A group of prefork() whose workers answer each request with their process ID. */
const cluster = require('node:cluster')
const http = require('node:http')
const http2 = require('node:http2')
const https = require('node:https')
const net = require('node:net')
const { prefork } = require('../../../dist/prefork')
const { Listeners } = require('../../../dist/prefork/listeners')
const { config, ready, warnings } = require('./parent')

const {
  kind = 'http',
  tls,
  crash,
  cleanup,
  fault,
  deaf,
  uid,
  keepAliveTimeout,
  ...options
} = config

if (uid !== undefined && cluster.isPrimary) process.setuid(uid)

const servers = {
  http: (answer) => http.createServer(answer),
  https: (answer) => https.createServer(tls, answer),
  http2: (answer) => http2.createServer(answer),
  net: (_answer, who) => net.createServer((socket) => socket.end(JSON.stringify(who))),
}

async function serve(worker) {
  const how = process.env.TEST_CRASH ?? crash
  if (how === 'exit') process.exit(3)
  if (how === 'throw') throw Object.assign(new Error('no database'), { code: 'ENODB' })
  if (how === 'silence') return undefined
  const who = { pid: process.pid, slot: worker.slot }
  const server = servers[kind](({ url }, response) => {
    const delayMs = Number(/delay=(\d+)/.exec(url)?.[1] ?? 0)
    if (url.startsWith('/block')) block(delayMs)
    const answer = () => response.end(JSON.stringify(who))
    if (url.startsWith('/slow')) setTimeout(answer, delayMs)
    else answer()
  }, who)
  if (keepAliveTimeout !== undefined) server.keepAliveTimeout = keepAliveTimeout
  await worker.listen(server)
  if (how === 'after listening') process.exit(4)
  return () => {
    if (server.listening) process.abort()
    process.send('cleaned')
    if (cleanup === undefined) return undefined
    const error = Object.assign(new Error('the database stays open'), { code: 'EDB' })
    if (cleanup === 'throw') throw error
    return Promise.reject(cleanup === 'reject' ? error : { reason: 1n })
  }
}

if (fault) {
  // Called whatever the privileges are.
  Listeners.prototype.refuse = () => {
    throw Object.assign(new Error('a fault in the shutdown'), { code: 'EFAULT' })
  }
}

/** Keeps the event loop busy. */
function block(ms) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

function plain({ code, message, cause, address, port, syscall }) {
  return { code, message, address, port, syscall, cause: cause && plain(cause) }
}

const pids = () => Object.values(cluster.workers).map(({ process: { pid } }) => pid)

async function start() {
  const group = await prefork({ ...options, serve })
  if (group === undefined) return
  let ended
  let cleaned = 0
  cluster.on('message', (_worker, message) => {
    if (message === 'cleaned') cleaned++
  })
  if (!deaf) {
    group.closed.then(
      () => (ended = { closed: true }),
      (error) => (ended = plain(error)),
    )
  }
  const outcome = (promise) => promise.then(() => 'done', plain)
  ready(
    { port: group.address.port, address: group.address },
    {
      pids,
      counters: () => group.counters(),
      restart: () => outcome(group.restart()),
      close: () => outcome(group.close()),
      dispose: () => outcome(group[Symbol.asyncDispose]()),
      ended: () => ended,
      /** Workers that had served everything and were not killed. */
      cleaned: () => cleaned,
      never: () => new Promise(() => {}),
      warnings: () => warnings,
      crash: (how) => {
        if (how === undefined) delete process.env.TEST_CRASH
        else process.env.TEST_CRASH = how
      },
      again: () => outcome(prefork({ ...options, serve })),
    },
  )
}

start().catch((error) => {
  if (cluster.isWorker) throw error
  ready({ error: plain(error), pids: pids() }, {})
})
