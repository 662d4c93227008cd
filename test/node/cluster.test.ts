/** Contract tests: what lib/node/cluster.ts takes node:cluster to do with handles, on the release that runs them. */
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

describe('The net.Server#_handle of node:cluster', () => {
  it('is taken from the server of the primary in its listening, and has no fd in the worker', async () => {
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

describe('A server outside of a cluster', () => {
  it('has its handle to itself', async () => {
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

  it('that is closed by a listener is taken by nobody, and its descriptor not touched', async () => {
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
