'use strict'

const { spawn } = require('node:child_process')
const { once } = require('node:events')
const { mkdtempSync, rmSync, writeFileSync } = require('node:fs')
const net = require('node:net')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { setTimeout: delay } = require('node:timers/promises')

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.resetAndDestroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** Starts nginx with one process, which answers each request with `word`, and at /status with its counters. */
async function startNginx(word, { connections = 1_024, port = undefined } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  port ??= await freePort()
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${kind};`)
    .join(' ')
  const configuration = `daemon off; master_process off; pid nginx.pid; error_log stderr crit;
    worker_rlimit_nofile ${connections + 100}; events { worker_connections ${connections}; }
    http { access_log off; ${temporary} keepalive_requests 1000000000;
      server { listen 127.0.0.1:${port} backlog=4096; location = /status { stub_status; }
        location / { return 200 ${word}; } } }`
  writeFileSync(join(folder, 'nginx.conf'), configuration)
  const nginx = spawn('nginx', ['-p', folder, '-c', 'nginx.conf', '-e', 'stderr'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(nginx, 'spawn')
  for (let ms = 1; !(await accepts(port)); ms *= 2) {
    if (ms > 2_000) throw new Error('nginx does not listen')
    await delay(ms)
  }
  return {
    port,
    async stop() {
      nginx.kill()
      await once(nginx, 'exit')
      rmSync(folder, { recursive: true })
    },
  }
}

module.exports = { startNginx }
