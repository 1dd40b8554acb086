package settings

import (
	"os"
	"path/filepath"
	"time"

	"openflow/cli"
	"openflow/runtime/launch"
	"openflow/site/partner"
	"openflow/site/upkeep"
	"openflow/worker/roster"
)

// Server is what openflow server can be told.
type Server struct {
	Party string `flag:"party" required:"openflow server --party 9999" help:"party ID of this site"`
	Home  string `flag:"home" default:"~/.openflow" help:"folder of this node"`

	ComponentsFolder string `flag:"components-folder" default:"none" help:"folder whose programs and archives of images are registered at the start"`

	Exports string `flag:"exports" default:"exports in the home folder" help:"folder on this machine into which users may have archives of models written; nothing is written outside of it"`

	Listen  `title:"Where it listens"`
	Access  `title:"Who may do what"`
	Running `title:"How tasks run"`
	Pool    `title:"The pool of machines"`
	Share   `title:"What jobs share"`
	Quota   `title:"What one peer may use"`
	Keep    `title:"How safe data are, and for how long they are kept"`
	Bound   `title:"How much jobs may put here"`
	Shared  `title:"Services instead of embedded parts"`
	Watch   `title:"What the node tells of itself"`
}

// Listen is where a node listens.
type Listen struct {
	Application     string   `flag:"listen" help:"address of the application layer and the UI, for users"`
	TLS             bool     `flag:"tls" help:"the application layer speaks TLS on loopback too; elsewhere it does unless told otherwise"`
	Unencrypted     bool     `flag:"plain" help:"the application layer speaks no TLS, although other machines reach it: tokens can be read on the way"`
	Certificate     string   `flag:"cert" default:"of the node's own making" help:"PEM file with the certificate that the application layer shows; read again when it changes"`
	Key             string   `flag:"cert-key" help:"PEM file with its key"`
	Names           []string `flag:"cert-name" help:"a further host in the certificate of the node's own making; may be repeated"`
	Interconnection string   `flag:"listen-interconnection" default:"the host of --listen, ten ports up" help:"address of the interconnection layer, for other sites"`
	Plain           string   `flag:"listen-plain" help:"address of the interconnection layer without TLS, for peers that speak none; what is said there can be read on the way"`
	Packets         string   `flag:"listen-packets" help:"address for peers of FATE-Flow whose calls come through its gRPC bridges (osx, rollsite), with TLS"`
	PlainPackets    bool     `flag:"plain-packets" help:"that address speaks no TLS, as FATE's bridges do: what is said there can be read and changed on the way"`
	PeerCertificate string   `flag:"peer-cert" default:"of the node's key" help:"PEM file with the certificate that the interconnection layer shows; read again when it changes"`
	PeerKey         string   `flag:"peer-cert-key" help:"PEM file with its key"`
	PeerAuthorities string   `flag:"peer-ca" help:"PEM file of authorities whose certificates count besides the keys of peers; read again when it changes"`
	Workers         string   `flag:"listen-workers" help:"address for the workers of this site's pool (openflow worker)"`
	PlainWorkers    bool     `flag:"plain-workers" help:"that address speaks no TLS: something before it does, or the way is safe"`
	NoUI            bool     `flag:"no-ui" help:"without the Temporal UI"`
}

// Access is who may do what at a node.
type Access struct {
	Peers    []string `flag:"peer" help:"a partner to register, ID=URL,KEY, or ID=URL,KEY,plain for one without TLS; changes no record of one that is or was registered; may be repeated"`
	GrantAll bool     `flag:"grant-all" help:"peers may initiate and schedule jobs, and use every table and component; for trials"`
	Uploads  []string `flag:"upload-folder" help:"a folder of this machine whose files users may name, besides uploads in the home folder; may be repeated"`
	Down     []string `flag:"download-folder" help:"a folder of this machine into which users may have tables written, besides downloads in the home folder; may be repeated"`
	Policy   string   `flag:"policy" default:"policy.yaml in the home folder, if there is one" help:"file that says what the owner of this site's data allows, see openflow policy"`
	// Its variable is another one, because OPENFLOW_TOKEN holds the token itself, for clients on the same machine.
	Token bool `flag:"token" env:"REQUIRE_TOKEN" help:"the application layer needs the token that the home folder, or --secrets, holds"`
}

// Running is how the tasks of a node or worker run.
type Running struct {
	Runtime    string   `flag:"runtime" help:"docker, or process (isolates nothing)"`
	Unconfined bool     `flag:"unconfined" help:"tasks run also where no firewall rules can keep them from what listens on this machine"`
	Components string   `flag:"components" default:"openflow-components beside this program" help:"the program of the built-in provider"`
	Trusted    []string `flag:"trust-provider" help:"a provider whose programs may do all that this node's user may, where the runtime isolates nothing; may be repeated"`
	Base       string   `flag:"listen-base" default:"chosen by the runtime" help:"address of the base layer, which containers of this machine call"`
	Advertise  string   `flag:"advertise-base" default:"known to the runtime" help:"HOST:PORT at which containers reach the base layer, for runtimes that cannot tell"`
	TaskDisk   Bytes    `flag:"task-disk" default:"16GiB" help:"what one run may write to the disk of its machine"`

	ResidentMost int           `flag:"resident-most" help:"resident containers of one component on this machine, 64 at most; 0: each run has a container of its own"`
	ResidentIdle time.Duration `flag:"resident-idle" least:"1s" help:"how long a resident container stays without a run"`

	Labels []string `flag:"label" help:"label of tasks that this machine takes, such as gpu, besides tasks without a label; may be repeated"`
}

// Pool is how a node works with the machines of its pool.
type Pool struct {
	NoTasks     bool          `flag:"no-tasks" help:"run no tasks here: the pool does"`
	WorkerWait  time.Duration `flag:"worker-wait" least:"1s" help:"how long a task waits where no worker may run it"`
	MachineGone time.Duration `flag:"machine-gone" least:"5s" help:"how long the worker of a silent machine may take to come back"`
}

// Share is what jobs share at a site.
type Share struct {
	Cores     Cores `flag:"cores" default:"this machine's" help:"cores that jobs share, over all machines of the site"`
	Memory    Bytes `flag:"memory" default:"this machine's" help:"memory that jobs share, as in 64GiB"`
	GPUs      int   `flag:"gpus" help:"GPUs that jobs share, the first of the machine's; -1 means all that it has"`
	JobMemory Bytes `flag:"job-memory" default:"none; each of its containers may use 4GiB" help:"memory of a job that names none"`
}

// Quota is what one peer may use, unless openflow site limit says something else of it.
type Quota struct {
	Jobs      int           `flag:"peer-jobs" help:"jobs of one peer that have not ended, one for each role; 0 means any number"`
	Waiting   int           `flag:"peer-waiting" help:"places of one peer in the queue; 0 means any number"`
	Cores     Cores         `flag:"peer-cores" default:"three quarters of --cores, and 4 at least" help:"cores that jobs of one peer hold at a time"`
	Memory    Bytes         `flag:"peer-memory" default:"three quarters of --memory" help:"memory that jobs of one peer hold at a time, as in 48GiB"`
	GPUs      int           `flag:"peer-gpus" help:"GPUs that jobs of one peer hold at a time; 0 means three quarters of --gpus"`
	Calls     int           `flag:"peer-calls" help:"calls of one peer a second, at each server; 0 means any number"`
	Bytes     Bytes         `flag:"peer-bytes" help:"what one peer may send in a minute, to each server"`
	Priority  int           `flag:"peer-priority" help:"highest priority of a peer's job in the queue; what asks for more gets that"`
	Lease     time.Duration `flag:"lease" least:"1s" help:"after what time a job ends here whose scheduler does not answer"`
	Unrenewed time.Duration `flag:"lease-unrenewed" least:"1s" help:"the same of a scheduler that cannot be asked (FATE-Flow), from the job's last reservation on"`
	Idle      time.Duration `flag:"idle" least:"1s" help:"after what time a peer's job gives back cores, memory and GPUs that it does not use"`
}

// Keep is how safely a node keeps what, and for how long.
type Keep struct {
	Durability string        `flag:"durability" help:"what survives: power (loss of power too) or process (its end only; faster)"`
	Jobs       time.Duration `flag:"keep-jobs" help:"how long a job is kept after its end: rows, metrics, logs, intermediate tables"`
	Logs       time.Duration `flag:"keep-logs" help:"how long the log of a task is kept after its end, at most as long as its job"`
	Histories  time.Duration `flag:"keep-histories" help:"how long Temporal keeps the history of a workflow after its end"`
	Messages   time.Duration `flag:"keep-messages" help:"how long unread messages are kept once nobody uses their session"`
	Unstarted  time.Duration `flag:"keep-unstarted" help:"how long a job of another site waits here after its scheduler has gone silent"`
}

// Bound is how much jobs may put into a node's stores.
type Bound struct {
	JobMessages  Bytes `flag:"job-messages" default:"1GiB" help:"messages of one job that wait here, with what is remembered of them"`
	PeerMessages Bytes `flag:"peer-messages" default:"4GiB" help:"messages from one party, over all jobs"`
	AllMessages  Bytes `flag:"all-messages" default:"16GiB" help:"messages in all"`
	RunData      Bytes `flag:"run-data" default:"32GiB" help:"tables and models that one run of a task may store"`
	JobData      Bytes `flag:"job-data" default:"128GiB" help:"tables and models that one job may store"`
	PeerData     Bytes `flag:"peer-data" default:"512GiB" help:"tables and models of all jobs that one party schedules"`
	AllData      Bytes `flag:"all-data" default:"2TiB" help:"tables and models of all jobs; what users upload is not counted"`
}

// Shared names the services that replace embedded parts of a node.
type Shared struct {
	Temporal    string `flag:"temporal" help:"HOST:PORT of a Temporal cluster's frontend instead of the embedded server"`
	Namespace   string `flag:"temporal-namespace" default:"openflow-PARTY" help:"this party's namespace there, made when it is missing"`
	TokenFile   string `flag:"temporal-token-file" help:"file with the token that the cluster wants"`
	TLS         bool   `flag:"temporal-tls" help:"the cluster speaks TLS; also implied by the three files below"`
	CA          string `flag:"temporal-ca" help:"PEM file: whom to trust for the cluster's certificate"`
	Certificate string `flag:"temporal-cert" help:"PEM file: the certificate to show to the cluster"`
	Key         string `flag:"temporal-key" help:"PEM file: its key"`
	Postgres    string `flag:"postgres" help:"postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslrootcert=FILE for the catalogue; better not on the command line, which others see"`
	Redis       string `flag:"redis" help:"rediss://USER:PASSWORD@HOST:PORT/0?ca=FILE for messages, nonces and events; better not on the command line, which others see"`
	S3          string `flag:"s3" help:"s3://KEY:SECRET@HOST:PORT/BUCKET/PREFIX?ca=FILE for tables, models and logs; better not on the command line, which others see"`
	Secrets     string `flag:"secrets" default:"the home folder" help:"folder of the node's key, secret and tokens, which all servers of this party share"`
}

// Watch is what a service tells of itself.
type Watch struct {
	OTLP  string `flag:"otlp" default:"that of OTEL_EXPORTER_OTLP_ENDPOINT, else none" help:"collector of traces, such as http://127.0.0.1:4318"`
	Level Level  `flag:"log-level" help:"debug, info, warn or error"`
}

// NewServer has the defaults.
func NewServer() *Server {
	pooling, kept, jobs := roster.DefaultPooling(), upkeep.DefaultRetention(), partner.DefaultLimits()
	return &Server{
		Home:    cli.DefaultHome(),
		Listen:  Listen{Application: "127.0.0.1:9380"}, // where FATE-Flow's clients look
		Running: running(),
		Pool:    Pool{WorkerWait: pooling.Wait, MachineGone: pooling.Gone},
		Share:   Share{GPUs: -1},
		Quota: Quota{
			Jobs: jobs.Quota.Jobs, Waiting: jobs.Quota.Waiting, Calls: jobs.Quota.Calls, Bytes: Bytes(jobs.Quota.Bytes),
			Priority: jobs.Quota.Priority, Lease: jobs.Lease, Unrenewed: jobs.Unrenewed, Idle: jobs.Idle,
		},
		Keep: Keep{
			Durability: "power", Jobs: kept.Jobs, Logs: kept.Logs, Histories: kept.Workflows, Messages: kept.Messages,
			Unstarted: kept.Unstarted,
		},
	}
}

func running() Running {
	residents := launch.DefaultResidents()
	return Running{
		Runtime: "docker", Components: Beside("openflow-components"), ResidentMost: residents.Most, ResidentIdle: residents.Idle,
	}
}

// Beside is the path of another program in the folder of this one.
func Beside(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
