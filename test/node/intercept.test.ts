/** Contract tests: the assumptions of lib/node/intercept.ts about how Node's http client writes to and destroys a socket, on this release of Node. */
import { once } from 'node:events'
import * as http from 'node:http'
import { interceptDestroy, interceptWrites } from '../../lib/node/intercept'
import { answerAndClose } from '../clients/early-answers'
import { keepAliveAgent, keptConnection, serve } from '../helpers/kept-connection'
import { connectedPair, loopback } from '../sockets'

describe('net.Socket#write', () => {
  it('is called by the http client with (data, encoding, callback)', async () => {
    const { port } = await serve()
    const agent = keepAliveAgent()
    const socket = await keptConnection(port, agent)
    const writes: unknown[][] = []
    const spy = jest.spyOn(socket, 'write')
    interceptWrites(socket, (data, encoding, callback) => {
      writes.push([data, encoding])
      return callback
    })
    const request = http.request({ host: loopback[4], port, agent, method: 'PUT' })
    const written = jest.fn()
    request.end('body', written)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await once(response.resume(), 'end')
    expect(writes.length).toBeGreaterThan(0)
    expect(writes[0]?.[0]).toMatch(/^PUT \/ HTTP/)
    for (const [data, encoding] of writes) {
      expect([typeof data, typeof encoding]).not.toContain('function')
    }
    expect(spy.mock.calls.every(({ length }) => length === 3)).toBe(true)
    expect(written).toHaveBeenCalledTimes(1)
  })

  it('accepts (data, callback) from other callers', async () => {
    const { client } = await connectedPair()
    const callbackFor = jest.fn()
    interceptWrites(client, callbackFor)
    await new Promise((resolve) => client.write('data', resolve))
    expect(callbackFor).not.toHaveBeenCalled()
  })
})

describe('net.Socket#destroy', () => {
  it('is called with an error whose syscall and errno show that the connection failed', async () => {
    const { client, accepted } = await connectedPair()
    const errors: unknown[] = []
    interceptDestroy(client, (error) => {
      errors.push(error)
      return error
    })
    client.resume()
    accepted.resetAndDestroy()
    await new Promise((resolve) => client.once('close', resolve))
    expect(errors[0]).toMatchObject({ syscall: 'read', errno: expect.any(Number) as unknown })
  })

  it('emits no error if it is called without one, even though a write has failed', async () => {
    const { client, accepted } = await connectedPair()
    accepted.resume()
    interceptDestroy(client, () => undefined)
    const failed = jest.fn()
    client.on('error', failed)
    answerAndClose(accepted, '', 'a RST', () => undefined)
    client.write('too late')
    await new Promise((resolve) => client.once('close', resolve))
    expect(failed).not.toHaveBeenCalled()
  })
})
