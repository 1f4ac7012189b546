package config

import "testing"

func TestIsLocalURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]bool{
		"http://localhost:11434/v1": true, "http://LOCALHOST./v1": true, "http://127.0.0.1:8000/v1": true, "http://[::1]:8000/v1": true,
		"http://10.1.2.3/v1": true, "http://172.16.0.1/v1": true, "http://192.168.1.5/v1": true, "http://[fd00::1]/v1": true,
		"http://169.254.1.1/v1": true, "http://[fe80::1]/v1": true, "http://[::ffff:10.0.0.1]/v1": true, "http://vllm:8000/v1": true,
		"http://vllm.models.svc.cluster.local/v1": true, "http://box.local/v1": true, "http://ada/v1": true,
		"https://api.openai.com/v1": false, "http://8.8.8.8/v1": false, "http://172.32.0.1/v1": false, "http://11.0.0.1/v1": false,
		"http://[2001:4860:4860::8888]/v1": false, "http://134744072/v1": false, "http://0x08080808/v1": false,
		"http://localhost.example.com/v1": false, "http://local.example/v1": false, "http://10.0.0.1.example.com/v1": false,
		"": false, "http://": false, "http://user@10.0.0.1@api.example.com/v1": false, "http://localhost@api.example.com/v1": false,
	} {
		if got := IsLocalURL(raw); got != want {
			t.Errorf("%q: local %v, want %v", raw, got, want)
		}
	}
}
