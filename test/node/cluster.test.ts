/** Contract tests: the assumptions of lib/node/cluster.ts about node:cluster, on this release of Node. */
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import * as net from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isInPrimary, whenTakenByCluster } from '../../lib/node/cluster'
import { closeLater, listen, loopback } from '../sockets'

async function cluster(policy: string): Promise<unknown> {
  const program = join(__dirname, 'cluster-program.js')
  const { stdout } = await promisify(execFile)(process.execPath, [program, policy])
  return JSON.parse(stdout)
}

describe('net.Server#_handle of node:cluster', () => {
  it("is taken from the server of the primary in 'listening', and has no fd in the worker", async () => {
    expect(await cluster('round-robin')).toEqual({
      listening: { fd: 'number' },
      afterwards: null,
      taken: [true],
      worker: { fd: 'undefined' },
      isInPrimary: true,
    })
  })

  it('has its fd in the worker with SCHED_NONE', async () => {
    expect(await cluster('none')).toEqual({
      taken: [],
      worker: { fd: 'number' },
      isInPrimary: false,
    })
  })
})

describe('a server outside of a cluster', () => {
  it('keeps its handle', async () => {
    const server = net.createServer()
    expect(isInPrimary(server)).toBe(false)
    const taken = jest.fn()
    const listening = once(server, 'listening').then(() => {
      whenTakenByCluster(server, taken)
    })
    await listen(server)
    await listening
    await new Promise(setImmediate)
    expect(isInPrimary(server)).toBe(false)
    expect(taken).not.toHaveBeenCalled()
  })

  it('is not taken if a listener closes it, and its descriptor is not affected', async () => {
    const server = net.createServer()
    closeLater(() => server.close())
    const taken = jest.fn()
    server.listen(0, loopback[4], () => {
      whenTakenByCluster(server, taken)
      server.close()
    })
    await once(server, 'close')
    expect(taken).not.toHaveBeenCalled()
  })
})
