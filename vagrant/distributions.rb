# frozen_string_literal: true

# The location of the product's zips: asked once, then written to `group_vars/vagrant.yaml` next to the
# inventory. A folder or a URL that contains the zips and a `SHA256SUMS`, as `sha256sum` writes it; or
# `stand-in`, for the project's own test zips.

require 'fileutils'
require 'open-uri'
require 'securerandom'
require 'yaml'

# Missing distributions, as a message for the user.
class DistributionsError < StandardError; end

# The zips that the machines of an inventory need.
class Distributions
  STAND_IN = 'stand-in'
  SUMS = 'SHA256SUMS'
  # The zips are attached to the release with the version's tag.
  RELEASES = 'https://github.com/wso2/product-apim/releases/tag'
  DRIVER = /\A(mysql-connector-j(ava)?|mysql-connector-java)[-.\d]*\.jar\z/
  ZIPS = {
    'control_plane' => 'wso2am-acp-%s.zip', 'key_manager' => 'wso2am-acp-%s.zip', 'gateway' => 'wso2am-universal-gw-%s.zip',
    'traffic_manager' => 'wso2am-tm-%s.zip', 'all_in_one' => 'wso2am-%s.zip'
  }.freeze

  # `project` is the folder of the project, `inventory` the inventory file.
  def initialize(project, inventory, machines)
    @project = project
    @file = File.join(File.dirname(inventory), 'group_vars', 'vagrant.yaml')
    @machines = machines
    @lock = Mutex.new
    @is_ready = @is_refused = false
  end

  # Ensures that the file exists and lists every zip. `ask` prompts for an unknown location, `build`
  # builds the stand-ins.
  def ready(given, build:, ask: nil)
    # Machines start in parallel; the first one does this for all.
    @lock.synchronize do
      next if @is_ready
      raise DistributionsError, 'the same error applies to this machine' if @is_refused

      @is_refused = true
      locate(given.to_s.strip, build, ask)
      @is_ready = true
    end
  end

  private

  def locate(place, build, ask)
    return if place.empty? && complete?

    place = written['vagrant_distributions'].to_s if place.empty?
    place = ask.call(question).to_s.strip if place.empty? && ask
    raise DistributionsError, "#{wanted}\nSet their location: APIM_DIST=/a/folder vagrant up" if place.empty?

    write(place, build)
  end

  # The present content of the file.
  def written
    read = YAML.safe_load(File.read(@file))
    read.is_a?(Hash) ? read : {}
  rescue SystemCallError, Psych::Exception
    {}
  end

  def complete?
    apim = written['apim']
    apim.is_a?(Hash) && (names - (apim.dig('distributions', 'sha256') || {}).keys).empty? && !(needs_key? && !apim['encryption_key'])
  end

  # From 4.7 every node needs an encryption key, which must never change as long as the databases exist.
  def needs_key?
    versions.any? { |version| Gem::Version.new(version[/\A\d+(\.\d+)*/] || '0') >= Gem::Version.new('4.7') }
  end

  def versions
    @machines.filter_map(&:version).uniq
  end

  def names
    @machines.flat_map do |machine|
      ZIPS.filter_map { |role, name| format(name, machine.version) if machine.groups.include?(role) && machine.version }
    end.uniq
  end

  def wanted
    releases = versions.map { |version| "  #{RELEASES}/v#{version}" }
    ['The cluster needs these files:', *names.map { |name| "  #{name}" },
     '  mysql-connector-j-VERSION.jar (the JDBC driver; "Connector/J", platform independent, from dev.mysql.com)',
     'The zips are attached to the release', *releases,
     "Put them into one folder, with their checksums: sha256sum *.zip *.jar > #{SUMS}",
     "Without them, `#{STAND_IN}` uses this project's test zips: the product's layout and behaviour, none of its code."].join("\n")
  end

  def question
    "#{wanted}\nLocation (a folder, a URL, or #{STAND_IN})? "
  end

  def write(given, build)
    place = given == STAND_IN ? stand_ins(build) : given
    url = place.match?(%r{\Ahttps?://})
    place = File.expand_path(place) unless url
    sums = sums(place, url)
    missing = names - sums.keys
    missing << 'mysql-connector-j-VERSION.jar' unless (driver = sums.keys.grep(DRIVER).max)
    missing |= names.reject { |name| File.file?(File.join(place, name)) } unless url
    raise DistributionsError, "#{place}: these files are missing, or not in its #{SUMS}: #{missing.join(', ')}\n\n#{wanted}" unless missing.empty?

    save(given, place, sums, driver)
  end

  def sums(place, url)
    text = url ? fetch("#{place.chomp('/')}/#{SUMS}") : File.read(File.join(place, SUMS))
    text.lines.filter_map { |line| line.match(%r{\A(\h{64}) [ *](?:\./)?([^/\s]+)\s*\z}) }.to_h { |match| [match[2], match[1].downcase] }
  rescue SystemCallError, SocketError, OpenURI::HTTPError, OpenSSL::SSL::SSLError, Timeout::Error => e
    raise DistributionsError, "#{File.join(place, SUMS)}: #{e.message.sub(/ @ rb_.*/, '')}\n\n#{wanted}"
  end

  def fetch(url)
    URI.parse(url.gsub('{version}', versions.first.to_s)).open(open_timeout: 20, read_timeout: 60) { |answer| answer.read(1 << 20).to_s }
  end

  def stand_ins(build)
    folder = File.join(@project, 'target', 'distributions')
    return folder if File.file?(File.join(folder, SUMS))

    build.call or raise DistributionsError, 'failed to build the stand-ins: run `make distributions` to see why (it needs cargo)'
    folder
  end

  def save(given, place, sums, driver)
    key = written.dig('apim', 'encryption_key') || (SecureRandom.hex(32) if needs_key?)
    settings = {
      'distributions' => { 'source' => place, 'sha256' => sums.slice(*sums.keys.grep(/\Awso2am-.*\.zip\z/)) },
      'databases' => { 'driver' => { 'source' => "#{place.chomp('/')}/#{driver}", 'sha256' => sums[driver] } },
      'encryption_key' => key
    }.compact
    place = given == STAND_IN ? given : place
    FileUtils.mkdir_p(File.dirname(@file))
    text = "# Written by `vagrant up` (APIM_DIST): the files of the test cluster. Do not commit.\n" \
           "#{YAML.dump('vagrant_distributions' => place, 'apim' => settings).delete_prefix("---\n")}"
    File.write("#{@file}.new", text, perm: 0o600)
    File.rename("#{@file}.new", @file)
  end
end
