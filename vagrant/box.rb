# frozen_string_literal: true

# The image of the docker provider: built once from box/Dockerfile, anew when what it is made of has changed.

require 'digest'
require 'vagrant/util/subprocess'

# What a person has to read, without a trace of Ruby.
class Wrong < Vagrant::Errors::VagrantError
  def initialize(text)
    @text = text
    super()
  end

  def error_message
    @text
  end
end

# Runs a program of this machine, and shows what it says as it goes; returns whether it ended well, and its last lines.
def run(interface, *command)
  said = []
  done = Vagrant::Util::Subprocess.execute(*command, notify: %i[stdout stderr]) do |_, text|
    said = (said + text.lines).last(40)
    interface&.detail(text.chomp)
  end
  [done.exit_code.zero?, said.join]
end

# An image.
class Box
  BASE = 'debian:bookworm'
  PARTS = %w[box/Dockerfile box/start node.sh].freeze

  # `base` is the image that it is made from.
  def initialize(folder, base)
    @folder = folder
    @base = base.to_s.empty? ? BASE : base
  end

  def name
    parts = PARTS.map { |part| File.read(File.join(@folder, part)) }
    "apim-deploy-box:#{Digest::SHA256.hexdigest([@base, *parts].join("\0"))[0, 12]}"
  end

  # Builds it where docker does not have it.
  def ready(interface)
    File.open(File.join(@folder, PARTS.first)) do |lock|
      lock.flock(File::LOCK_EX) # machines come up side by side
      return if run(nil, 'docker', 'image', 'inspect', name).first

      interface.info("building the image #{name} from #{@base}, once")
      built, said = run(interface, 'docker', 'build', '--tag', name, '--build-arg', "BASE=#{@base}",
                        '--file', File.join(@folder, PARTS.first), @folder)
      raise Wrong, "docker could not build #{name} from #{@base}:\n#{said}" unless built
    end
  end
end
