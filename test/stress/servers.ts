/** Targets on loopback, and a run to the end. */
import * as http from 'node:http'
import * as net from 'node:net'
import type { StressOptions, StressResult } from '../../lib/stress'
import { stress } from '../../lib/stress'
import { closeLater, destroyLater, listen } from '../sockets'

export interface Seen {
  connections: number
  requests: number
  url: string
}

/** An http server that counts its connections and requests. */
export async function httpTarget(
  answer: http.RequestListener = (_request, response) => response.end('hello'),
): Promise<Seen> {
  const seen = { connections: 0, requests: 0, url: '' }
  const server = http.createServer((request, response) => {
    seen.requests++
    answer(request, response)
  })
  server.on('connection', (socket) => {
    seen.connections++
    destroyLater(socket)
  })
  seen.url = `http://127.0.0.1:${String(await listen(server))}/`
  return seen
}

/** A TCP server that counts its connections. */
export async function tcpTarget(
  onConnection: (socket: net.Socket) => void,
): Promise<{ target: string; seen: Seen; server: net.Server }> {
  const seen = { connections: 0, requests: 0, url: '' }
  const server = net.createServer((socket) => {
    seen.connections++
    destroyLater(socket)
    onConnection(socket)
  })
  closeLater(() => {
    server.close()
  })
  return { target: `127.0.0.1:${String(await listen(server))}`, seen, server }
}

/** Runs to the end, and checks that every request is counted exactly once. */
export async function resultOf(options: StressOptions): Promise<StressResult> {
  const result = await stress({ connections: 8, ...options }).result
  const { planned, answered, failed, unsent, aborted } = result.requests
  expect(answered + failed + unsent + aborted).toBe(planned)
  expect(result.latency.count).toBe(answered)
  expect(JSON.parse(JSON.stringify(result))).toEqual(result)
  return result
}
