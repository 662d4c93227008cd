'use strict'

module.exports = require('socket-tuner/artillery')
