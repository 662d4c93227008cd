'use strict'

/** States of a dgram.Socket and of a RawSocket. */
const dgram = require('node:dgram')
const net = require('node:net')
const { RawSocket } = require('../../../dist')
const { HOST, once } = require('./scene')

function open(scene) {
  const socket = dgram.createSocket('udp4')
  socket.on('error', () => undefined)
  scene.later(() => {
    try {
      socket.close()
    } catch {
      // It is closed already.
    }
  })
  return socket
}

async function bound(scene) {
  const socket = open(scene)
  socket.bind(0, HOST)
  await once(socket, 'listening')
  return socket
}

function raw(scene) {
  const socket = RawSocket.open(4)
  scene.later(() => socket.close())
  return socket
}

module.exports = {
  'dgram.Socket that is not bound': (scene, act) => act(open(scene)),

  'dgram.Socket that is being bound': (scene, act) => {
    const socket = open(scene)
    socket.bind(0, HOST)
    act(socket)
  },

  'dgram.Socket that is bound': async (scene, act) => act(await bound(scene)),

  'dgram.Socket that is connected': async (scene, act) => {
    const other = await bound(scene)
    const socket = open(scene)
    socket.connect(other.address().port, HOST)
    await once(socket, 'connect')
    act(socket)
  },

  'dgram.Socket that is closed': async (scene, act) => {
    const socket = await bound(scene)
    socket.close()
    await once(socket, 'close')
    act(socket)
  },

  'dgram.Socket that closes': async (scene, act) => {
    const socket = await bound(scene)
    socket.close()
    act(socket)
  },

  'RawSocket that is open': (scene, act) => act(raw(scene)),

  'RawSocket that is bound': (scene, act) => act(raw(scene).bind({ address: HOST })),

  'RawSocket that is closed': (scene, act) => {
    const socket = raw(scene)
    socket.close()
    act(socket)
  },

  'RawSocket that was handed over to a net.Socket': async (scene, act) => {
    const socket = raw(scene)
    scene.keep(socket.connect({ host: HOST, port: await scene.serve() }))
    act(socket)
  },

  'RawSocket that was handed over to a server': async (scene, act) => {
    const socket = raw(scene).bind({ address: HOST })
    await socket.listenOn(scene.own(net.createServer()))
    act(socket)
  },
}
