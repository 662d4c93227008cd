/** Contract tests: the assumptions of lib/node/failed-writes.ts about Node, on this release of Node. */
import { once } from 'node:events'
import { interceptFailedWrites } from '../../lib/node/failed-writes'
import { connectedPair } from '../sockets'
import { answerAndClose } from '../clients/early-answers'

describe('net.Socket#_write and #_writev', () => {
  it('are called with a callback that destroys the socket if it receives an error', async () => {
    const { client, accepted } = await connectedPair()
    accepted.resume()
    let failures = 0
    interceptFailedWrites(client, (error, fail) => {
      failures++
      expect(error).toMatchObject({ syscall: 'write' })
      expect(client.destroyed).toBe(false)
      fail()
    })
    answerAndClose(accepted, '', 'a RST', () => undefined)
    client.write('too late')
    const [error] = (await once(client, 'error')) as [Error]
    expect(error).toMatchObject({ code: 'ECONNRESET', syscall: 'write' })
    expect(failures).toBe(1)
  })

  it.each([
    ['a write', false],
    ['several writes at once', true],
  ])(
    'do not stop the socket from reading to its end before their callback is called (%s)',
    async (_what, corked) => {
      const { client, accepted } = await connectedPair()
      accepted.resume()
      const told: unknown[] = []
      let give: (() => void) | undefined
      interceptFailedWrites(client, (_error, fail) => {
        give = fail
      })
      answerAndClose(accepted, 'answer', 'a RST', () => undefined)
      const read: string[] = []
      client.on('data', (chunk: Buffer) => read.push(String(chunk)))
      if (corked) client.cork()
      client.write('too', (error) => told.push(error))
      client.write('late', (error) => told.push(error))
      if (corked) client.uncork()
      await once(client, 'end')
      expect([read, told, client.errored]).toEqual([['answer'], [], null])
      client.destroy()
      give?.()
      await once(client, 'close')
      expect(told).toMatchObject([{ code: 'ECONNRESET' }, { code: 'ECONNRESET' }])
    },
  )
})
